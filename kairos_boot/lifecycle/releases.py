"""Which releases a registry has for a node: the tags of images of its kind, the newest first."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BEFORE_RELEASE = ("alpha", "beta", "rc")
KIND = ("flavor_release", "variant", "targetarch", "model")
"""What of an image's release file comes before the version in its tag, joined by dashes."""


@record
class Wanted:
    """Where to look: *repository*, tags that begin with *prefix*; *version* is what the node has."""

    repository: str
    prefix: str
    version: str


def wanted(release: Mapping[str, str], registry: str = "") -> Wanted:
    """What a node whose image says *release* of itself looks for in *registry*, else in the one of its image. KairosError: nothing names one."""
    named = registry or release.get("registry_and_org", "")
    if not named:
        raise KairosError("the image does not say which registry its releases are in", "KAIROS_REGISTRY_AND_ORG", "name it: --registry quay.io/kairos")
    lacking = [f"KAIROS_{name.upper()}" for name in ("flavor", *KIND) if not release.get(name)]
    if lacking:
        raise KairosError(f"the image does not say of which kind it is: it has no {', '.join(lacking)}", "/etc/kairos-release", "name the image: kairos-boot upgrade --source oci:IMAGE")
    return Wanted(f"{named.rstrip('/')}/{release['flavor']}", "-".join(release[name] for name in KIND) + "-", release.get("version", ""))


def found(tags: Sequence[str], this: Wanted, *, older: bool = False, unfinished: bool = False) -> list[str]:
    """Those of *tags* that are releases of this kind, the newest first; with *older* also those before the node's own, with *unfinished* also alpha, beta and rc."""
    now = _version(this.version)
    known = []
    for tag in tags:
        version = _version(tag.removeprefix(this.prefix)) if tag.startswith(this.prefix) else None
        if version is not None and (unfinished or version[1]) and (older or now is None or version > now):
            known.append((version, tag))
    return [tag for _, tag in sorted(known, reverse=True)]


def _version(text: str) -> tuple[tuple[int, ...], bool, tuple[tuple[int, str], ...]] | None:
    """Numbers, whether it is a finished release, and what follows them; each so that it can be compared. None: it is no version."""
    number, _, rest = text.removeprefix("v").partition("-")
    parts = number.split(".")
    if not all(part.isdecimal() for part in parts):
        return None
    finished = not rest.startswith(BEFORE_RELEASE)
    words = "".join(letter if letter.isalnum() else " " for letter in rest)
    split = "".join(f" {letter}" if letter.isdecimal() and not before.isdecimal() else letter for before, letter in zip(f" {words}", words, strict=False))
    return tuple(map(int, parts)), finished, tuple((int(word), "") if word.isdecimal() else (-1, word) for word in split.split())
