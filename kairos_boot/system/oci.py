"""Container images as they lie in an archive or a layout: which layers they have, by their manifests (image-spec; docker's own, version 2)."""

from __future__ import annotations

import os
import tarfile
from hashlib import sha256

from kairos_boot.errors import KairosError
from kairos_boot.records import record
from kairos_boot.system.layer_stream import Layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

LISTS = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
TEXT = 4 << 20
"""Bytes that a manifest may have."""


@record
class Image:
    """An image named by *digest* for good, and its *layers*, the lowest first."""

    digest: str
    layers: tuple[Layer, ...]
    index: str = ""
    """The digest of the list of images that it was chosen from, where there is one: that is what is signed, as a rule."""

    @property
    def size(self) -> int:
        """Bytes of its layers as they are fetched."""
        return sum(layer.size for layer in self.layers)


def digest_of(data: bytes) -> str:
    """What names *data*."""
    return f"sha256:{sha256(data).hexdigest()}"


def chosen(text: bytes, platform: tuple[str, str]) -> str:
    """The digest of the manifest for *platform* (system, architecture) in an index; empty where *text* is the manifest itself. KairosError: there is none."""
    found = _json(text)
    if "manifests" not in found and found.get("mediaType") not in LISTS:
        return ""
    offered = []
    for item in _items(found, "manifests"):
        has = item.get("platform")
        if not isinstance(has, dict):
            return _digest(item)  # an archive's index: there is nothing to choose by
        name = (str(has.get("os", "")), str(has.get("architecture", "")))
        if name == platform:
            return _digest(item)
        if "unknown" not in name:
            offered.append("/".join(name))
    raise KairosError(f"the image is not there for {'/'.join(platform)}", hint=f"it is there for {', '.join(offered)}" if offered else "build it for this machine")


def layers(text: bytes, locate: Callable[[str], tuple[str, int]]) -> tuple[Layer, ...]:
    """The layers of the manifest *text*; *locate* says in which file the content of a digest lies, and from where on. KairosError: it is no manifest of an image."""
    found = _json(text)
    if found.get("schemaVersion") != 2:
        raise KairosError("its manifest is of a kind that is out of use (schema 1)", hint="push the image anew with a current tool")
    made = []
    for item in _items(found, "layers"):
        digest, size = _digest(item), item.get("size")
        if not isinstance(size, int) or size < 0:
            raise KairosError("its manifest has a layer without a size", hint="build the image anew")
        path, at = locate(digest)
        made.append(Layer(path, size, digest, at))
    if not made:
        raise KairosError("the image has no layers", hint="name the image of a system")
    return tuple(made)


def archived(path: str, platform: tuple[str, str], name: str) -> Image:
    """The image in the archive *path*, called *name*: one of OCI, or what `docker save` writes. KairosError: it is none, or is damaged."""
    try:
        with tarfile.open(path, "r:", errors="surrogateescape") as tar:
            places = _places(tar)
    except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError) as error:
        raise KairosError(f"it is no archive of a container image: {error}", name, "write it with skopeo copy … oci-archive:FILE, or docker save") from error

    def read(member: str) -> bytes:
        if member not in places:
            raise KairosError(f"it has no {member}", name, "write the archive anew: it is cut off, or no container image")
        at, size = places[member]
        with open(path, "rb") as file:
            return _at_most(file.read, file.seek, at, size, name)

    def blob(digest: str) -> bytes:
        data = read("blobs/" + digest.replace(":", "/", 1))
        if digest_of(data) != digest:
            raise KairosError(f"it is damaged: what is called {digest} has the digest {digest_of(data)}", name, "copy it again")
        return data

    def locate(digest: str) -> tuple[str, int]:
        member = "blobs/" + digest.replace(":", "/", 1)
        if member not in places:
            raise KairosError(f"it lacks a layer: {digest}", name, "copy it again: it is cut off")
        return path, places[member][0]

    try:
        if "oci-layout" in places:
            return described(read("index.json"), blob, locate, platform)
        return _saved(read, places, path)
    except KairosError as error:
        raise KairosError(error.message, name, error.hint) from error


def described(index: bytes, blob: Callable[[str], bytes], locate: Callable[[str], tuple[str, int]], platform: tuple[str, str]) -> Image:
    """The image that *index* leads to, by way of indexes, at most three of them."""
    text, digest = index, ""
    for _ in range(4):
        following = chosen(text, platform)
        if not following:
            break
        digest = following
        text = blob(digest)
    return Image(digest or digest_of(text), layers(text, locate))


def _places(tar: tarfile.TarFile) -> dict[str, tuple[int, int]]:
    """Where the content of each file lies; a link of an archive leads to another file of it."""
    found: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    for member in tar:
        name = os.path.normpath(member.name)
        if member.isreg():
            found[name] = member.offset_data, member.size
        elif member.issym():
            links[name] = os.path.normpath(os.path.join(os.path.dirname(name), member.linkname))
        elif member.islnk():
            links[name] = os.path.normpath(member.linkname)
    for name, target in links.items():
        if target in found:
            found[name] = found[target]
    return found


def _saved(read: Callable[[str], bytes], places: Mapping[str, tuple[int, int]], path: str) -> Image:
    """What `docker save` wrote: the digests are those of what the layers unpack to."""
    import json

    try:
        [item, *more] = json.loads(read("manifest.json"))
        names, config = [str(name) for name in item["Layers"]], read(str(item["Config"]))
        sums = [str(digest) for digest in json.loads(config)["rootfs"]["diff_ids"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KairosError("its manifest.json names no image", hint="write it with docker save") from error
    if more:
        raise KairosError("it holds several images", hint="save the one that is meant")
    if len(sums) != len(names):
        raise KairosError(f"it names {len(names)} layers, and has digests for {len(sums)}", hint="save it again")
    made = []
    for name, digest in zip(names, sums, strict=True):
        if name not in places:
            raise KairosError(f"it lacks a layer: {name}", hint="copy it again: it is cut off")
        at, size = places[name]
        made.append(Layer(path, size, digest, at, plain=True))
    return Image(digest_of(config), tuple(made))


def _at_most(read: Callable[[int], bytes], seek: Callable[[int], object], at: int, size: int, name: str) -> bytes:
    if size > TEXT:
        raise KairosError(f"its manifest has {size} bytes", name, "it is no container image")
    seek(at)
    data = read(size)
    if len(data) != size:
        raise KairosError("it ends too early", name, "copy it again: it is cut off")
    return data


def _json(text: bytes) -> dict[str, Any]:
    import json

    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise KairosError(f"its manifest cannot be read: {error}", hint="name the image of a system") from error
    if not isinstance(found, dict):
        raise KairosError("its manifest is none", hint="name the image of a system")
    return found


def _items(found: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    items = found.get(key)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise KairosError(f"its manifest has no {key}", hint="name the image of a system")
    return items


def _digest(item: Mapping[str, Any]) -> str:
    digest = str(item.get("digest", ""))
    if not digest.startswith("sha256:") or len(digest) != 71 or digest[7:].strip("0123456789abcdef"):
        raise KairosError(f"its manifest names something by no digest that is known here: {digest!r}", hint="build the image anew")
    return digest
