"""Where extensions come from: a file, an address, the top directory of a container image."""

from __future__ import annotations

import os

from kairos_boot.boot.extensions import SUFFIX
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import extensions, sources
from kairos_boot.lifecycle.phases import Engine
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kairos_boot.boot.extensions import Kind
    from kairos_boot.lifecycle.wired import Machine
    from kairos_boot.system.host import Host

HINT = f"write file:/PATH/NAME{SUFFIX}, https://PLACE/NAME{SUFFIX}, oci:REGISTRY/IMAGE:TAG or ocifile:/PATH"
WEB = ("https://", "http://")
IMAGES = ("oci:", "docker:", "ocifile:")


def install(machine: Machine, kind: Kind, text: str, *, checksum: str = "", insecure: bool = False) -> Iterator[tuple[str, bool, str]]:
    """Bring what *text* names into the store: each image's name, whether it is another one now, and why the running system would not merge it.

    *checksum* is what an address has to give; *insecure*: a registry without TLS will do. KairosError: it cannot be had, or is no extension.
    """
    host = machine.host
    text = f"oci:{text.removeprefix('container:')}" if text.startswith("container:") else text
    if checksum and not text.startswith(WEB):
        raise KairosError("only what comes from an address is held against a checksum; an image of a registry is pinned by its digest", "--checksum", "oci:IMAGE@sha256:…")
    if text.startswith("file:"):
        yield from _put(host, kind, [host.path(sources.find(host, text).path)])
        return
    if not text.startswith((*WEB, *IMAGES)):
        raise KairosError(f"not a source of an extension: {shown(text)!r}", hint=HINT)
    source = None if text.startswith(WEB) else sources.find(host, text, fetch=True, insecure=insecure)
    try:  # not before: until now what is there is an upgrade's, which goes on with it
        yield from _put(host, kind, _unpacked(machine, kind, source) if source else [_downloaded(machine, kind, text, checksum)])
    finally:
        sources.forget(host, machine.log, kind.name, layers=True)


def _put(host: Host, kind: Kind, paths: Sequence[str]) -> Iterator[tuple[str, bool, str]]:
    for path in paths:
        name = os.path.basename(path)
        yield (name, *extensions.put(host, kind, path, name))


def _unpacked(machine: Machine, kind: Kind, source: sources.Source) -> list[str]:
    """The extensions of an image, on this machine."""
    host = machine.host
    tree = host.path(sources.bring(Engine(kind.name, host, machine.ledger, machine.log), source, machine.progress, system=False).path)
    found = sorted(entry.name for entry in os.scandir(tree) if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False))
    if not found:
        raise KairosError(f"there is no NAME{SUFFIX} in the top directory of the image", str(source.named),
                          "put the extension there; a tree of files is a bundle: kairos-boot install-bundle, with /var/lib/extensions/NAME as its root path")
    return [f"{tree}/{name}" for name in found]


def _downloaded(machine: Machine, kind: Kind, url: str, checksum: str) -> str:
    from urllib.parse import unquote, urlsplit

    from kairos_boot.actions.download import METHODS, Download

    method, colon, digits = checksum.partition(":")
    if checksum and (not colon or METHODS.get(method) != len(digits) or set(digits.lower()) - set("0123456789abcdef")):
        raise KairosError(f"not a checksum: {checksum!r}", "--checksum", "write sha256:… or sha512:…")
    name = os.path.basename(unquote(urlsplit(url).path))
    extensions.must_be_name(name)
    if url.startswith("http://") and not checksum:
        machine.log(4, f"{shown(url)}: nobody vouches for what comes without TLS: name its checksum, or use https", kind="warning", stage=kind.name)
    path = f"{sources.work(machine.host)}/download/{name}"
    Download(url, path, 0o644, checksum=checksum).apply(machine.host)
    return machine.host.path(path)
