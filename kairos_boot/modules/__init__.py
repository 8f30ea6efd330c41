"""Step keys: each module turns one key of a step into actions. They read nothing and write nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Protocol

    from kairos_boot.actions.base import Action, Effect
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts

    Plan = Generator[Action, Effect | None, None]
    """What a plan function gives. `changed = yield action` hears what `apply` gave, False where it failed, None where nobody knows."""

    class Module(Protocol):
        """A file of this folder."""

        KEY: str

        def plan(self, step: Step, facts: Facts) -> Plan:
            """Yield what makes the node match *step*, one action an item."""

ORDER = (
    ("dns", "dns"), ("downloads", "downloads"), ("git", "git"), ("ensure_entities", "entities"), ("directories", "directories"),
    ("files", "files"), ("sudoers", "cloudinit"), ("commands", "commands"), ("delete_entities", "entities"), ("etc_hosts", "cloudinit"), ("hostname", "hostname"),
    ("sysctl", "sysctl"), ("users", "users"), ("group_members", "cloudinit"), ("passwords", "cloudinit"), ("authorized_keys", "authorized_keys"), ("modules", "modules"), ("timesyncd", "timesyncd"),
    ("systemctl", "systemctl"), ("environment", "environment"), ("systemd_firstboot", "systemd_firstboot"),
    ("datasource", "datasource"), ("layout", "layout"), ("package_pins", "package_pins"), ("packages", "packages"),
    ("unpack_images", "unpack_images"), ("ca_certs", "cloudinit"), ("ssh_pwauth", "cloudinit"), ("fetched_files", "cloudinit"), ("deferred_files", "files"),
)
"""Keys in the order in which a step does them, and the file of each (docs/README.md has the same order).

`deferred_files` is no key of a document: the loader adds it to the keys of a step that has files with `defer`. Neither are those of `cloudinit`,
which it makes of the classic half of a document.
"""
