"""Another configuration for a node that is about to reset itself: it is judged before the node is told to, since nobody can log in to mend it afterwards."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import survey
from kairos_boot.node.config import Collector, has_header
from kairos_boot.node.settings import mapping
from kairos_boot.system.facts import gather
from kairos_boot.system.reader import HostReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.node.config import Config
    from kairos_boot.system.host import Host

FOLDER, NAME = "/oem", "90_custom.yaml"


class _Replaced(HostReader):
    """The host as it is when the file *new* has become its configuration."""

    def __init__(self, host: Host, new: str) -> None:
        super().__init__(host)
        self._new = new

    def names(self, path: str) -> list[tuple[str, bool]]:
        """The entries of a directory, the new file among them."""
        found = super().names(path)
        return [*(entry for entry in found if entry[0] != NAME), (NAME, False)] if path == FOLDER else found

    def read(self, path: str) -> bytes:
        """A regular file."""
        return super().read(self._new if path == f"{FOLDER}/{NAME}" else path)


def must_fit(host: Host, new: str, cmdline: str) -> None:
    """KairosError: with *new* as its configuration the node would lose it in the reset, or let nobody log in, or it is no configuration."""
    reader = _Replaced(host, new)
    try:
        data = reader.read(new)
    except OSError as error:
        raise KairosError((error.strerror or str(error)).lower(), new) from error
    if not has_header(data):
        raise KairosError("this is no configuration: the line #cloud-config is missing", new)
    config = Collector(reader, lambda: gather(host)).collect(cmdline)
    _judge(host, config)


def _judge(host: Host, config: Config) -> None:
    survey.must_be_of_one_mind(config)
    if survey.section(config, "reset", {}).get("reset-oem") is True:
        raise KairosError("reset.reset-oem is set: the reset would erase this configuration with the rest of /oem", "reset.reset-oem", "leave it out, in the node's other documents too")
    if not survey.lets_somebody_in(host, config, mapping(config.settings.data.get("install"))):
        raise KairosError("no user of the configuration is in the group admin: nobody could log in after the reset", "users",
                          "add a user with `groups: [admin]`, or write install.nousers: true")
