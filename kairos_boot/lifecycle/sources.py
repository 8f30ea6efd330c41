"""What a system is made of: a tree, an image file, an archive of a container image, an image in a registry (G8).

A tree and an image file are used where they lie. What is fetched comes as a tree into a directory of its own first, is checked there, and only then
does anything of the node change. A digest names an image for good: it is resolved once, and what is fetched later is that one.
"""

from __future__ import annotations

import os

from kairos_boot.errors import Explained, KairosError, reason
from kairos_boot.lifecycle.phases import Broken, Memory, Phase, Refused
from kairos_boot.records import record, replace
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.lifecycle.phases import Engine
    from kairos_boot.stages.runner import Log
    from kairos_boot.system.copying import Progress
    from kairos_boot.system.host import Host
    from kairos_boot.system.oci import Image

RECOVERY = ("/run/initramfs/cos-state/cOS/recovery.img", "/run/initramfs/isoscan/cOS/recovery.img")
"""Where the recovery system that runs has its own image."""
TREE = "/run/rootfsbase"
"""The root of a live or recovery system that is a squashfs file."""
WORK = "source"
IMAGE, ARCHIVE, DIRECTORY, FILE = "oci", "ocifile", "dir", "file"
KINDS = {"oci": IMAGE, "docker": IMAGE, "ocifile": ARCHIVE, "dir": DIRECTORY, "file": FILE}
"""How a source may begin, and what it is then."""
HINT = "write dir:/PATH (a tree), file:/PATH (an image), ocifile:/PATH (an archive of a container image) or oci:REGISTRY/IMAGE:TAG"
NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
TAG = NAME | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@record
class Named:
    """A source as it is written: *kind* is one of `dir`, `file`, `ocifile`, `oci`; *name* is a path, or what a registry calls the image."""

    kind: str
    name: str

    def __str__(self) -> str:
        """As it is written, without a login."""
        return f"{self.kind}:{shown(self.name)}"


@record
class Source:
    """What the images of a node are made of: a file or a tree at *path*, *size* bytes of a partition for each image.

    Of a source that is fetched, *path* is where its tree will be, and until it is there (`arrived`) the size is the least that it can have.
    """

    path: str
    is_tree: bool
    size: int
    named: Named = Named(DIRECTORY, "")
    digest: str = ""
    """`sha256:…` of the image, where it has one."""
    arrived: bool = True
    image: Image | None = None
    """What the registry has under its name."""
    insecure: bool = False


def parse(text: str) -> Named:
    """What a document or a call names as a source. KairosError: it is none, with what to write instead."""
    text = text.strip()
    kind, colon, name = text.partition(":")
    if colon and kind == "channel":
        raise KairosError(f"release channels are no source: {text!r}", hint="name the image: oci:REGISTRY/IMAGE:TAG")
    if not colon or kind not in KINDS:
        if text.startswith(("/", "./", "../")):
            raise KairosError(f"a path alone does not say what it is: {text!r}", hint=f"write dir:{text} for a tree, file:{text} for an image file")
        return Named(IMAGE, reference(text))  # as it always was
    name = name.removeprefix("//")
    if KINDS[kind] == IMAGE:
        return Named(IMAGE, reference(name))
    if not name:
        raise KairosError(f"not a source: {text!r}", hint=HINT)
    if not name.startswith("/"):
        raise KairosError(f"not an absolute path: {name!r}", hint=f"write it like {kind}:{os.path.abspath(name)}")
    return Named(KINDS[kind], name)


def reference(text: str) -> str:
    """The name of an image in a registry, with its tag or its digest. KairosError: it is none.

    Without a registry it is one of docker.io, as everywhere; without a tag it is the one called `latest`.
    """
    from kairos_boot.actions.images import pinned

    rest, at, digest = text.partition("@")
    place, slash, last = rest.rpartition("/")
    base, colon, tag = last.partition(":")
    if at and ":" in rest.partition("/")[0] and "/" in digest:
        raise KairosError(f"the name of an image has no login: {shown(f'oci://{text}')}", hint="log in to the registry with skopeo login")
    parts = place.split("/") if slash else []
    host, names = (parts[0], [*parts[1:], base]) if parts and _is_host(parts[0]) else ("", [*parts, base])
    good = all(name and NAME.issuperset(name) and name[0].isalnum() and name[-1].isalnum() for name in names)
    good = good and (not host or _is_address(host))
    good = good and (not colon or (tag != "" and len(tag) < 129 and TAG.issuperset(tag) and tag[0] not in ".-"))
    good = good and (not at or (digest.startswith("sha256:") and len(digest) == 71 and not digest[7:].strip("0123456789abcdef")))
    if not good:
        raise KairosError(f"not a source: {shown(text)!r}", hint=HINT)
    if at:
        return pinned(text, digest)
    return text if colon else f"{text}:latest"


def _is_host(part: str) -> bool:
    return "." in part or ":" in part or part == "localhost"


def _is_address(host: str) -> bool:
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    name = name if colon else host
    if name.startswith("["):
        return name.endswith("]") and set(name[1:-1].lower()) <= set("0123456789abcdef:.") and (not colon or port.isdecimal())
    return bool(name) and TAG.issuperset(name) and (not colon or port.isdecimal())


def find(host: Host, wanted: str, key: str = "", *, fetch: bool = False, insecure: bool = False) -> Source:
    """What *wanted*, said at *key* of the configuration, names. KairosError: it is not there, or, unless *fetch* is set, it would have to be fetched.

    A registry is asked for the digest of its image now; *insecure* is whether one without TLS will do.
    """
    from kairos_boot.actions.image_tree import size_for

    try:
        named = parse(wanted)
    except KairosError as error:
        raise KairosError(error.message, key, error.hint) from error
    if named.kind == IMAGE:
        return _in_registry(host, named, key, fetch=fetch, insecure=insecure)
    real = host.path(named.name)
    try:
        found = os.stat(real)
    except OSError as error:
        raise KairosError("what the system is to be made of is not there", named.name, "mount it, or name another source") from error
    if named.kind == ARCHIVE:
        if not fetch:
            raise KairosError(f"{named} cannot be unpacked here", key, "write dir:/PATH or file:/PATH")
        if os.path.isdir(real):
            raise KairosError("it is a directory, and no archive", named.name, f"write dir:{named.name} for a tree")
        return Source(f"{work(host)}/tree", True, found.st_size, named, arrived=False)
    if os.path.isdir(real):
        return Source(named.name, True, size_for(real), replace(named, kind=DIRECTORY))
    if named.kind == DIRECTORY:
        raise KairosError("it is no directory", named.name, f"write file:{named.name} for an image file")
    return Source(named.name, False, found.st_blocks * 512, named)


def _in_registry(host: Host, named: Named, key: str, *, fetch: bool, insecure: bool) -> Source:
    from kairos_boot.actions.registry import resolve

    if not fetch:
        raise KairosError(f"{named} cannot be fetched here", key, "write dir:/PATH or file:/PATH")
    place = work(host)
    image = resolve(host, named.name, f"{place}/layers", insecure=insecure)
    return Source(f"{place}/tree", True, image.size, named, image.digest, arrived=False, image=image, insecure=insecure)


def work(host: Host) -> str:
    """Where what is fetched lies (G7), for this run alone. KairosError: it cannot be made, or another run is fetching."""
    from kairos_boot.system.scratch import hold, kept

    with Explained("there is no place for what is fetched", hint="name one with TMPDIR"):
        place = kept(host, WORK)
        free = hold(host.path(place))
    if not free:
        raise KairosError("another run of this program fetches or unpacks an image there", place, "wait for its end, or name another place with TMPDIR")
    return place


def source_phases(source: Source, progress: Callable[[str], Progress], *, system: bool = True) -> list[Phase]:
    """The phases that bring *source* onto the node; none where it is there. They change nothing but what is in the directory of `work`.

    What comes out has to be a *system*, or may be any tree.
    """
    from kairos_boot.actions.image_layers import CheckSystem, UnpackArchive, UnpackLayers
    from kairos_boot.actions.registry import FetchImage

    if source.arrived:
        return []
    found = []
    if source.image is not None:
        layers, name = f"{os.path.dirname(source.path)}/layers", str(source.named)
        found.append(Phase("fetch", "fetch the image", (FetchImage(source.named.name, source.image, layers, source.insecure, progress("fetch the image")),),
                           again="layers that are there are not fetched again", notes=("sizes below are the least ones, until the image is unpacked",)))
        unpack: UnpackLayers | UnpackArchive = UnpackLayers(name, source.image.layers, source.path, True, progress("unpack the image"))
    else:
        unpack = UnpackArchive(source.named.name, source.path, progress("unpack the image"))
    look = [Phase("look", "look at what came out", (CheckSystem(source.path, str(source.named)),))] if system else []
    return [*found, Phase("unpack", "unpack the image", (unpack,)), *look]


def arrived(host: Host, source: Source) -> Source:
    """*source* when its phases are done: its size is known now."""
    from kairos_boot.actions.image_tree import size_for

    if source.arrived:
        return source
    digest = source.digest or (host.read(f"{source.path}.digest") or b"").decode("ascii", "replace")
    found: Source = replace(source, size=size_for(host.path(source.path)), digest=digest, arrived=True)
    return found


def bring(engine: Engine, source: Source, progress: Callable[[str], Progress], *, system: bool = True) -> Source:
    """Bring *source* onto the node. Refused: it cannot be had, or is no *system* and has to be one; nothing of the node was changed."""
    todo = source_phases(source, progress, system=system)
    if not todo:
        return source
    engine.check(todo)
    try:
        engine.run(todo, Memory())
    except Broken as error:
        if error.phase == "look":
            forget(engine.host, engine.log, engine.action, layers=False)
        raise Refused([KairosError(error.message, error.where, error.hint)]) from error
    return arrived(engine.host, source)


def forget(host: Host, log: Log, action: str, *, layers: bool) -> None:
    """Remove what was made of a source, and, with *layers*, what was fetched for it, which a later run goes on with.

    What cannot be removed is told in *log*: it changes nothing of what *action* did.
    """
    from kairos_boot.system.scratch import hold, let_go, place_of
    from kairos_boot.system.trees import remove

    place = host.path(place_of(host, WORK))
    try:
        if not os.path.isdir(place) or not hold(place):
            return  # nothing is there, or it is another run's
        for name in os.listdir(place):
            if layers or name != "layers":
                remove(f"{place}/{name}")
    except OSError as error:
        log(4, f"what was fetched cannot be removed: {place}: {reason(error)}", kind="warning", stage=action)
    let_go(place)


def recovery(host: Host) -> Source:
    """The recovery image that this boot offers. KairosError: there is none."""
    from kairos_boot.actions.image_tree import size_for

    for path in RECOVERY:
        if host.exists(path):
            return Source(path, False, os.stat(host.path(path)).st_blocks * 512, Named(FILE, path))
    if host.is_directory(TREE):
        return Source(TREE, True, size_for(host.path(TREE)), Named(DIRECTORY, TREE))
    raise KairosError("there is no recovery image to reset to", RECOVERY[0], "write one there, or install the node anew")


def origin(source: Source) -> str:
    """What is noted of a source, with its digest where it has one: `oci://IMAGE@sha256:…`."""
    name = source.named.name or source.path
    kind = source.named.kind if source.named.name else DIRECTORY if source.is_tree else FILE
    return f"{kind}://{name.partition('@')[0] if source.digest else name}{f'@{source.digest}' if source.digest else ''}"
