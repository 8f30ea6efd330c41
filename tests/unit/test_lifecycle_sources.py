"""What may be named as a source of a system, and what is found there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.sources import Named, Source, find, origin, parse, recovery
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(("text", "kind", "name"), [
    ("dir:/srv/tree", "dir", "/srv/tree"),
    ("dir:///srv/tree", "dir", "/srv/tree"),
    ("file:/srv/a b.img", "file", "/srv/a b.img"),
    ("ocifile:/srv/image.tar", "ocifile", "/srv/image.tar"),
    ("oci:quay.io/kairos/debian:1", "oci", "quay.io/kairos/debian:1"),
    ("oci://quay.io/kairos/debian:1", "oci", "quay.io/kairos/debian:1"),
    ("docker:quay.io/kairos/debian", "oci", "quay.io/kairos/debian:latest"),
    ("docker://localhost:5000/node", "oci", "localhost:5000/node:latest"),
    ("oci:[::1]:5000/node:V1", "oci", "[::1]:5000/node:V1"),
    ("  quay.io/kairos/debian:v4.2.0-standard_1\n", "oci", "quay.io/kairos/debian:v4.2.0-standard_1"),
    ("debian", "oci", "debian:latest"),
    (f"oci:quay.io/kairos/debian:1@{DIGEST}", "oci", f"quay.io/kairos/debian@{DIGEST}"),
    (f"oci:localhost:5000/node@{DIGEST}", "oci", f"localhost:5000/node@{DIGEST}"),
])
def test_a_source_is_understood_as_it_always_was(text: str, kind: str, name: str) -> None:
    assert parse(text) == Named(kind, name)


@pytest.mark.parametrize(("text", "said"), [
    ("channel:system/cos", "name the image"),
    ("/srv/tree", "write dir:/srv/tree"),
    ("./tree", "write dir:./tree"),
    ("dir:srv/tree", "not an absolute path"),
    ("dir:", "write dir:/PATH"),
    ("ocifile:", "write dir:/PATH"),
    ("oci:", "write dir:/PATH"),
    ("", "write dir:/PATH"),
    ("https://example.org/system.img", "write dir:/PATH"),
    ("oci:Quay.io/Kairos/x", "write dir:/PATH"),
    ("oci:quay.io/kairos/x:", "write dir:/PATH"),
    ("oci:quay.io/kairos/x:a b", "write dir:/PATH"),
    ("oci:quay.io//x", "write dir:/PATH"),
    ("oci:--help", "write dir:/PATH"),
    ("oci:quay.io/kairos/x@sha256:12", "write dir:/PATH"),
])
def test_what_is_no_source_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(KairosError) as error:
        parse(text)
    assert said in str(error.value)


def test_a_login_in_a_name_is_refused_and_not_shown() -> None:
    with pytest.raises(KairosError) as error:
        parse("oci:ada:hunter2@registry.example/node:1")
    assert "skopeo login" in error.value.hint
    assert "hunter2" not in str(error.value)


def test_a_tree_and_an_image_are_found_with_their_size(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_bytes(b"x" * 9000)
    (tmp_path / "image").write_bytes(b"x" * 9000)
    host = Host(str(tmp_path))
    tree, image = find(host, "dir:/tree"), find(host, "file:/image")
    assert tree.is_tree
    assert tree.size > 9000
    assert (image.is_tree, image.path) == (False, "/image")
    assert (origin(tree), origin(image)) == ("dir:///tree", "file:///image")


@pytest.mark.parametrize(("wanted", "said"), [("dir:/none", "not there"), ("file:/none", "not there"), ("dir:/image", "write file:/image")])
def test_what_is_not_there_is_said_with_its_place(tmp_path: Path, wanted: str, said: str) -> None:
    (tmp_path / "image").write_bytes(b"")
    with pytest.raises(KairosError) as error:
        find(Host(str(tmp_path)), wanted, "upgrade.system.source")
    assert said in str(error.value)


def test_the_recovery_image_is_the_first_that_this_boot_offers(tmp_path: Path) -> None:
    host = Host(str(tmp_path))
    with pytest.raises(KairosError, match="no recovery image"):
        recovery(host)
    (tmp_path / "run/rootfsbase").mkdir(parents=True)
    assert recovery(host).is_tree
    image = tmp_path / "run/initramfs/isoscan/cOS/recovery.img"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"")
    assert recovery(host) == Source("/run/initramfs/isoscan/cOS/recovery.img", is_tree=False, size=0, named=Named("file", "/run/initramfs/isoscan/cOS/recovery.img"))


def test_the_digest_of_an_image_is_noted() -> None:
    source = Source("/tmp/tree", is_tree=True, size=0, named=Named("oci", "quay.io/kairos/debian:1"), digest=DIGEST)
    assert origin(source) == f"oci://quay.io/kairos/debian:1@{DIGEST}"
