"""unpack_images: layers laid over a directory, from trees, archives and, through skopeo, images."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.actions.images import POLICIES
from kairos_boot.errors import KairosError
from kairos_boot.modules import unpack_images
from kairos_boot.system.layers import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.modules.conftest import MakeStep, Node

needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="no skopeo here")
DIRECTORY = object()


def layer(entries: Mapping[str, object]) -> bytes:
    """A tar file: text for a file, DIRECTORY, ("link", target), ("hard", target), (text, mode)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, value in entries.items():
            member = tarfile.TarInfo(name)
            member.mtime = 1_700_000_000
            content = b""
            member.mode = 0o644
            if value is DIRECTORY:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(value, tuple) and value[0] in ("link", "hard"):
                member.type, member.linkname = tarfile.SYMTYPE if value[0] == "link" else tarfile.LNKTYPE, value[1]
            else:
                text, member.mode = value if isinstance(value, tuple) else (value, 0o644)
                content = str(text).encode()
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def image(directory: Path, *layers: bytes, architecture: str = "amd64") -> str:
    """An OCI layout with these layers, the lowest first, compressed."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    config = {"architecture": architecture, "os": "linux", "config": {},
              "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in layers]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(json.dumps(config).encode(), "config.v1+json"),
                "layers": [blob(gzip.compress(content, mtime=0), "layer.v1.tar+gzip") for content in layers]}
    index = {"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode(), "manifest.v1+json")]}
    (directory / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    return str(directory)


def state(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, time and mode of everything: equal states mean that nothing was written."""
    return {str(file): ((now := file.lstat()).st_ino, now.st_mtime_ns, now.st_mode) for file in [directory, *directory.rglob("*")]}


LOWER = {"usr": DIRECTORY, "usr/a": "lower a", "usr/b": "lower b", "etc/": DIRECTORY, "etc/x": "x", "var/cache/y": "y", "tool": ("old", 0o755),
         "lib": DIRECTORY, "lib/inner": "inner", "twin": "twin", "twin2": ("hard", "twin")}
UPPER = {"usr/a": "upper a", "usr/.wh.b": "", "var/cache/.wh..wh..opq": "", "var/cache/new": "new", "tool": ("new", 0o4755), "lib": ("link", "usr"),
         "twin": "other"}


def laid_over(machine: Node, step: MakeStep, source: str, target: Path) -> None:
    """Unpack, look, unpack again: the second run must change nothing."""
    target.mkdir(parents=True)
    (target / "usr").mkdir(mode=0o700)
    (target / "usr/mine").write_text("mine", encoding="utf-8")
    (target / "usr/b").write_text("my own b", encoding="utf-8")
    (target / "etc").write_text("a file in the way", encoding="utf-8")
    os.symlink("/nonexistent", target / "tool")
    wanted = step(unpack_images=[{"source": source, "target": str(target)}])
    assert machine.do(unpack_images, wanted) == [True]
    texts = {str(file.relative_to(target)): file.read_text() for file in target.rglob("*") if file.is_file() and not file.is_symlink()}
    assert texts == {"usr/a": "upper a", "usr/mine": "mine", "usr/b": "my own b", "etc/x": "x", "var/cache/new": "new", "tool": "new",
                     "twin": "other", "twin2": "twin"}
    assert os.readlink(target / "lib") == "usr"
    assert [os.lstat(target / name).st_mode & 0o7777 for name in ("tool", "usr", "usr/a")] == [0o4755, 0o755, 0o644]
    before = state(target)
    assert machine.do(unpack_images, wanted) == [False]
    assert state(target) == before


@needs_skopeo
def test_an_image_in_a_directory(machine: Node, step: MakeStep, tmp_path: Path) -> None:
    """White-outs and opaque directories count among the image's layers; what was in the target stays."""
    laid_over(machine, step, image(tmp_path / "image", layer(LOWER), layer(UPPER)), tmp_path / "target")


@needs_skopeo
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_an_image_in_an_archive(machine: Node, step: MakeStep, tmp_path: Path, kind: str) -> None:
    """As `skopeo copy` and `docker save` write them."""
    layout = image(tmp_path / "image", layer(LOWER), layer(UPPER))
    result = machine.processes.run(("skopeo", "copy", f"oci:{layout}", f"{kind}:{tmp_path}/image.tar:x/y:1"), timeout=60)
    assert result.code == 0, result.output
    laid_over(machine, step, f"{tmp_path}/image.tar", tmp_path / "target")


def test_a_tree_and_a_tar_file(machine: Node, step: MakeStep, tmp_path: Path) -> None:
    """No tool is needed; links, modes and times come along."""
    (tmp_path / "tree/bin").mkdir(parents=True)
    (tmp_path / "tree/bin/tool").write_text("tool", encoding="utf-8")
    (tmp_path / "tree/bin/tool").chmod(0o755)
    os.symlink("bin/tool", tmp_path / "tree/tool")
    os.symlink("bin", tmp_path / "tree/sbin")
    os.link(tmp_path / "tree/bin/tool", tmp_path / "tree/twin")
    os.mkfifo(tmp_path / "tree/pipe")
    (tmp_path / "plain.tar").write_bytes(layer({"deep/file": "text"}))
    wanted = step(unpack_images=[{"source": f"{tmp_path}/{name}", "target": str(tmp_path / "target")} for name in ("tree", "plain.tar")])
    assert machine.do(unpack_images, wanted) == [True, True]
    target = tmp_path / "target"
    assert (target / "tool").read_text() == "tool"
    assert os.stat(target / "twin").st_ino == os.stat(target / "bin/tool").st_ino
    assert (target / "pipe").is_fifo()
    assert os.readlink(target / "sbin") == "bin"
    assert (target / "deep/file").read_text() == "text"
    before = state(target)
    assert machine.do(unpack_images, wanted) == [False, False]
    assert state(target) == before
    assert not list(tmp_path.rglob("*kairos-new"))


@pytest.mark.parametrize("entries", [
    {"../evil": "x"}, {"a/../../evil": "x"}, {"link": ("link", "/"), "link/tmp/kairos-evil": "x"}, {"up": ("link", ".."), "up/evil": "x"}, {"h": ("hard", "../secret")},
])
def test_nothing_is_written_outside_the_target(machine: Node, step: MakeStep, tmp_path: Path, entries: Mapping[str, object]) -> None:
    """Neither by `..` nor through links, those that are there already included."""
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    (tmp_path / "evil.tar").write_bytes(layer(entries))
    (tmp_path / "target").mkdir()
    before = state(tmp_path)
    machine.do(unpack_images, step(unpack_images=[{"source": f"{tmp_path}/evil.tar", "target": f"{tmp_path}/target"}]))
    after = {path: entry for path, entry in state(tmp_path).items() if "/target" not in path}
    assert {path: entry for path, entry in before.items() if "/target" not in path} == after
    assert not os.path.exists("/tmp/kairos-evil")
    assert not any("secret" in file.read_text() for file in (tmp_path / "target").rglob("*") if file.is_file())


def test_links_in_the_target_are_not_followed(machine: Node, step: MakeStep, tmp_path: Path) -> None:
    """A link where the image has a directory is replaced."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "target").mkdir()
    os.symlink(tmp_path / "outside", tmp_path / "target/etc")
    (tmp_path / "plain.tar").write_bytes(layer({"etc/file": "text"}))
    machine.do(unpack_images, step(unpack_images=[{"source": f"{tmp_path}/plain.tar", "target": f"{tmp_path}/target"}]))
    assert list((tmp_path / "outside").iterdir()) == []
    assert (tmp_path / "target/etc/file").read_text() == "text"


LINKED = {"usr/lib": DIRECTORY, "usr/lib/old": "old", "lib": ("link", "usr/lib"), "lib64": ("link", "/lib"), "up": ("link", "../../usr"), "data/in": ("link", "../usr/lib"),
          "round": ("link", "about"), "about": ("link", "round")}


def layered(tmp_path: Path, *layers: Mapping[str, object]) -> dict[str, str]:
    """What several layers make of an empty directory: texts by their paths, where links lead behind an arrow."""
    target = tmp_path / "target"
    target.mkdir()
    fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number, entries in enumerate(layers):
            (tmp_path / f"{number}.tar").write_bytes(layer(entries))
        unpack([f"{tmp_path}/{number}.tar" for number in range(len(layers))], fd)
    finally:
        os.close(fd)
    return {str(path.relative_to(target)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
            for path in target.rglob("*") if path.is_symlink() or path.is_file()}


@pytest.mark.parametrize(("upper", "lies", "links"), [
    ({"lib/new": "x"}, {"usr/lib/new": "x"}, ("lib", "lib64")),
    ({"lib64/new": "x", "up/deep/er": "y"}, {"usr/lib/new": "x", "usr/deep/er": "y"}, ("lib", "lib64", "up")),
    ({"data/in/a": "a", "data/in/b": ("hard", "data/in/a")}, {"usr/lib/a": "a", "usr/lib/b": "a"}, ("data/in",)),
    ({"lib/.wh.old": "", "lib/.wh.more": ""}, {"usr/lib/old": None}, ("lib",)),
    ({"lib/.wh..wh..opq": "", "lib/new": "x"}, {"usr/lib/new": "x", "usr/lib/old": None}, ("lib", "data/in")),
    ({"lib/new": "x", "lib/.wh..wh..opq": "", "lib/": DIRECTORY}, {"lib/new": "x", "usr/lib/new": None, "usr/lib/old": "old"}, ("data/in",)),
    ({"lib/": DIRECTORY, "lib/new": "x"}, {"lib/new": "x", "usr/lib/new": None}, ("data/in",)),
    ({".wh.lib": "", "lib/new": "x"}, {"lib/new": "x", "usr/lib/new": None}, ("data/in",)),
    ({"lib": "a file now"}, {"lib": "a file now"}, ("lib64",)),
    ({"data": ("link", "/srv")}, {"data": "-> /srv"}, ("lib",)),
    ({"usr/lib/a": "a", "lib/b": ("hard", "lib64/a")}, {"usr/lib/a": "a", "usr/lib/b": "a"}, ("lib",)),
    ({"lib/a": "a", "b": ("hard", "usr/lib/a")}, {"usr/lib/a": "a", "b": "a"}, ("lib",)),
])
def test_an_upper_layer_over_a_lower_layers_link(tmp_path: Path, upper: dict[str, object], lies: dict[str, str | None], links: tuple[str, ...]) -> None:
    """What it has below a link lies where the link leads, as container runtimes have it, and the link stays; what it has in the link's own place replaces it."""
    found = layered(tmp_path, LINKED, upper)
    assert {name: found.get(name) for name in lies} == lies
    assert [found[name] for name in links] == [f"-> {LINKED[name][1]}" for name in links]  # type: ignore[index]


def test_links_of_several_layers(tmp_path: Path) -> None:
    """The link that is followed is the one that the layers below have in the end."""
    found = layered(tmp_path, LINKED, {"lib": ("link", "opt"), "usr/lib/second": "2"}, {"lib/third": "3"}, {".wh.lib": ""}, {"lib/fifth": "5"})
    assert found["opt/third"] == "3"
    assert (found["usr/lib/second"], found["lib/fifth"]) == ("2", "5")


@pytest.mark.parametrize(("upper", "told"), [
    ({"round/x": "x"}, "links lead in a circle"), ({"lib/x": "a file", "usr/lib/x/y": "y"}, "no directory in it"), ({"lib": ("link", "usr"), "lib/x": "x"}, "no directory in it"),
])
def test_what_can_lie_nowhere_is_refused_before_anything_is_written(tmp_path: Path, upper: dict[str, object], told: str) -> None:
    """C9."""
    with pytest.raises(KairosError, match=told):
        layered(tmp_path, LINKED, upper)
    assert list((tmp_path / "target").iterdir()) == []


SKOPEO = """echo "$@" >>"$HOME/log"
for last; do :; done
case "$*" in
*inspect*) cat "$HOME/version" ;;
*) mkdir "${last#dir:}"; cp "$HOME"/image/* "${last#dir:}" ;;
esac
"""


def test_a_registrys_image_is_fetched_once(machine: Node, step: MakeStep, tmp_path: Path) -> None:
    """Again only when the registry has another, or the target is gone; the platform is passed on."""
    try:
        os.setxattr(tmp_path, "trusted.test", b"")
    except OSError as error:
        pytest.skip(f"what was unpacked is remembered in an attribute that only root sets: {error.strerror}")
    for name, text in (("tools/skopeo", f"#!/bin/sh\n{SKOPEO}"), ("version", "1")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "tools/skopeo").chmod(0o755)
    (tmp_path / "image").mkdir()
    (tmp_path / "image/abc").write_bytes(layer({"file": "text"}))
    (tmp_path / "image/manifest.json").write_text(json.dumps({"layers": [{"digest": "sha256:abc"}]}), encoding="utf-8")
    target = tmp_path / "target"
    source = "registry.example:5000/a/tools:1@sha256:" + "0" * 64
    wanted = step(unpack_images=[{"source": source, "target": str(target), "platform": "linux/arm64"}])
    assert machine.do(unpack_images, wanted) == [True]
    before = state(target)
    assert machine.do(unpack_images, wanted) == [False]
    assert state(target) == before
    log = (tmp_path / "log").read_text()
    assert log.count("copy") == 1
    trusted = any(os.path.exists(path) for path in POLICIES)
    assert all(line.startswith("--insecure-policy ") != trusted for line in log.splitlines())  # without a policy skopeo fetches nothing
    assert f"--override-os linux --override-arch arm64 copy --quiet docker://registry.example:5000/a/tools@sha256:{'0' * 64} dir:" in log
    (tmp_path / "version").write_text("2", encoding="utf-8")
    machine.do(unpack_images, wanted)
    shutil.rmtree(target)
    assert machine.do(unpack_images, wanted) == [True]
    assert (tmp_path / "log").read_text().count("copy") == 3


def test_what_cannot_be_unpacked_does_not_stop_the_next(machine: Node, step: MakeStep, tmp_path: Path) -> None:
    """Each error has its place; half an item is a note; nothing is left in the temporary directory."""
    (tmp_path / "plain.tar").write_bytes(layer({"file": "text"}))
    (tmp_path / "broken.tar").write_bytes(b"no tar file")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/skopeo").write_text("#!/bin/sh\necho no route to registry; exit 1\n", encoding="utf-8")
    (tmp_path / "tools/skopeo").chmod(0o755)
    target = str(tmp_path / "target")
    results = machine.do(unpack_images, step(unpack_images=[
        {"source": "tools:1", "target": target}, {"source": f"{tmp_path}/broken.tar", "target": target}, {"source": f"{tmp_path}/none", "target": target},
        {"source": "tools:1"}, {"target": target}, {"source": "a b", "target": target}, {"source": "a", "target": "relative"},
        {"source": "a", "target": target, "platform": "arm64"}, {"source": f"{tmp_path}/plain.tar", "target": target}]))
    assert "stages.s[0].unpack_images[0]: skopeo inspect of tools:1: exit status 1\nno route to registry" in str(results[0])
    assert "cannot be read: no tar file, or a damaged one" in str(results[1])
    assert "No such file" in str(results[2])
    assert results[3:5] == [False, False]
    assert ["unpack_images[5].source" in str(results[5]), "unpack_images[6].target" in str(results[6]), "unpack_images[7].platform" in str(results[7])] == [True] * 3
    assert results[8] is True
    machine.processes.environment["PATH"] = "/nonexistent"
    [error] = machine.do(unpack_images, step(unpack_images=[{"source": "tools:1", "target": target}]))
    assert "cannot run skopeo" in str(error)
    assert "which the node needs" in str(error)
    assert not list(Path("/tmp/.kairos-boot").glob("image-*"))


def test_a_file_of_any_size_in_a_small_archive_fills_no_disk(tmp_path: Path) -> None:
    """Of a sparse file only its map is in the archive."""
    with open(tmp_path / "0.tar", "wb") as file:
        member = tarfile.TarInfo("file")
        member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "file", "GNU.sparse.realsize": str(1 << 50)}
        member.size = 512
        file.write(member.tobuf(tarfile.PAX_FORMAT) + b"1\n0\n0\n".ljust(512, b"\0") + bytes(1024))
    (tmp_path / "target").mkdir()
    fd = os.open(tmp_path / "target", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(KairosError, match="more room than there is") as caught:
            unpack([f"{tmp_path}/0.tar"], fd)
    finally:
        os.close(fd)
    assert "make room" in caught.value.hint
    assert list((tmp_path / "target").iterdir()) == []
