"""frequency: how often a step runs (decisions H). A record is a file on the persistent partition, and gone with it."""

from __future__ import annotations

import os

from kairos_boot.actions.remove import Remove
from kairos_boot.errors import Explained, KairosError
from kairos_boot.system.atomic import replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.stages.graph import Vertex
    from kairos_boot.system.host import Host

PERSISTENT, OEM = "/usr/local/.kairos/steps", "/oem/.kairos/steps"
"""Where records lie, and where before the persistent partition is mounted."""


def names_of(stage: str, vertex: Vertex) -> tuple[str, str]:
    """What the step is called in its records: by its stage, its document and its own name, so that no neighbour changes it; and as the first version called it.

    A name that stands several times in its list, or none, is told by the step's place in the list; a document's that others bear by its number.
    """
    from kairos_boot.stages.names import names

    home, _, at = vertex.step.place.removeprefix("stages.").removesuffix("]").rpartition("[")
    stage = home or stage  # also where what has drifted runs again
    steps = vertex.document.stages.get(stage, ())
    given = [str(step.get("name", "")) for step in steps]
    full, borne = names(vertex.document.name, given)[int(at)] if at.isdecimal() and int(at) < len(steps) else (vertex.name, vertex.name)
    own = borne if vertex.step.name and given.count(vertex.step.name) == 1 else full
    return f"{stage}\0{own}{vertex.name.removeprefix(full)}", vertex.name


def ran_before(host: Host, names: tuple[str, str], step: Step) -> str:
    """Why the step's frequency leaves it out now, or nothing."""
    known = None
    for name in names:
        for folder in (PERSISTENT, OEM):
            known = known or host.read(f"{folder}/{_file(name)}")
    if known is None:
        return ""
    image, content, when = [*known.decode("utf-8", "replace").split("\n"), "", "", ""][:3]
    if step.frequency == "once-per-image" and image != _image(host):
        return ""
    if step.frequency == "on-change" and content != _content(step):
        return ""
    return f"frequency: {step.frequency}, and it ran {when}"


def begin(host: Host, names: tuple[str, str], step: Step) -> None:
    """Take back what an earlier run recorded, before the step changes anything: cut short or failed, it did neither the old nor the new.

    KairosError: the record cannot be taken back.
    """
    for path in [f"{folder}/{_file(name)}" for folder in (PERSISTENT, OEM) for name in names]:
        try:
            Remove(path).apply(host)
        except KairosError as error:
            raise KairosError(f"cannot take back the record of its last run: {error.message}", step.where("frequency"), "remove it yourself") from error


def remember(host: Host, names: tuple[str, str], step: Step, now: float) -> None:
    """Record that the step was done. KairosError: the record cannot be written, so the step runs again next time."""
    import time

    when = time.strftime("on %Y-%m-%d at %H:%M:%S UTC", time.gmtime(now))
    folder = PERSISTENT if os.path.ismount(host.path("/usr/local")) or not host.is_directory("/oem") else OEM
    with (Explained("cannot record that it ran", step.where("frequency"), "it runs again next time"),
          host.place(f"{folder}/{_file(names[0])}") as place):
        place.make_parents(0o700, 0, 0)
        replace_file(place, f"{_image(host)}\n{_content(step)}\n{when}\n{names[1]}\n".encode("utf-8", "backslashreplace"), 0o600, os.geteuid(), os.getegid())


def _digest(data: bytes) -> str:
    from hashlib import sha256

    return sha256(data).hexdigest()[:32]


def _file(name: str) -> str:
    return _digest(name.encode("utf-8", "backslashreplace"))


def _content(step: Step) -> str:
    """What the step says, without where it stands."""
    from kairos_boot.cloudconfig.model import LOADER_FIELDS

    return _digest("\n".join(f"{key}={getattr(step, key)!r}" for key in step.__match_args__ if key not in LOADER_FIELDS).encode())


def _image(host: Host) -> str:
    """What tells one image from another: the release files that an image build writes."""
    return _digest(b"\0".join(host.read(path) or b"" for path in ("/etc/kairos-release", "/usr/lib/os-release", "/etc/os-release")))
