"""What is said of a verb that there is not: of a mistyped one, and of Kairos' verbs that this version lacks."""

from __future__ import annotations

from kairos_boot.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

INSTEAD = {
    "get": "`kairos-boot config get QUERY` prints a setting",
    "interactive-install": "use install or manual-install",
    "recovery": "choose the recovery entry in the boot menu",
    "kcrypt": "systemd-cryptenroll keeps the keys of encrypted partitions, not this program",
    "phone-home": "a Kubernetes Plan, or your own agent, calls kairos-boot upgrade and kairos-boot reset",
    "versioneer": "cat /etc/kairos-release",
    "webui": "kairos-boot validate checks a configuration, kairos-boot manual-install installs with it",
}
"""Verbs of Kairos' agent that this version does not have, and what to use."""


def unknown(verb: str, known: Sequence[str]) -> str:
    """One line for a verb that is known elsewhere or mistyped; nothing for any other."""
    if verb in INSTEAD:
        return f"kairos-boot: {verb} is not in this version; {INSTEAD[verb]}\n"
    near = nearest(verb, known)
    return f"kairos-boot: unknown verb: {verb} (did you mean {near[0]}?); kairos-boot --help lists them\n" if near else ""
