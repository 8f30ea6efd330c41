"""Which bundles a document names: each wrong one costs itself, by place and remedy; where the new node keeps what they bring."""

from __future__ import annotations

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.bundles import EXTRACT, RUN, BringToNewNode, Bundle, bundle, named, places
from kairos_boot.system.host import Host


@pytest.mark.parametrize(("target", "kind", "name"), [
    ("container://quay.io/a/b:1", EXTRACT, "quay.io/a/b:1"), ("docker://quay.io/a/b", EXTRACT, "quay.io/a/b:latest"), ("run://localhost:5000/x:y", RUN, "localhost:5000/x:y"),
    ("CONTAINER://quay.io/a/b:1", EXTRACT, "quay.io/a/b:1"),
])
def test_a_target_is_an_image_and_what_becomes_of_it(target: str, kind: str, name: str) -> None:
    assert bundle(target) == Bundle(target, kind, name, "/")


@pytest.mark.parametrize(("target", "said"), [
    ("package://utils/edgevpn", "packages of luet"), ("luet://x", "packages of luet"), ("quay.io/a/b", "write container://"), ("git://x", "write container://"),
    ("run://", "not a bundle"), ("container://user:secret@host/x:1", ""), ("container://a b", "not a source"),
])
def test_what_is_none_is_told_with_what_to_write_and_without_a_login(target: str, said: str) -> None:
    with pytest.raises(KairosError) as fault:
        bundle(target)
    assert said in str(fault.value)
    assert "secret" not in str(fault.value)


@pytest.mark.parametrize("root", ["usr/local", "/usr/../etc", "/a\0b"])
def test_the_directory_is_an_absolute_path(root: str) -> None:
    with pytest.raises(KairosError, match="absolute path"):
        bundle("container://x/y:1", root)


def test_a_wrong_one_costs_itself_and_is_named_by_its_place() -> None:
    found, faults = named([{"targets": ["package://a", "container://x/y:1"], "rootfs_path": "/usr/local/"}, {"rootfs_path": "/x"}, "text", {"targets": ["run:///a.tar"], "local_file": True}], "install.bundles")
    assert [(each.name, each.root) for each in found] == [("x/y:1", "/usr/local"), ("/a.tar", "/")]
    assert [fault.where for fault in faults] == ["install.bundles[0].targets[0]", "install.bundles[1]", "install.bundles[2]"]


def test_what_the_node_keeps_lies_where_its_layout_looks_for_it() -> None:
    """The same names as the initrd's (`.state/var-lib-extensions.bind`); a directory below /usr/local is there already."""
    kept = dict(places("/p", "/o", ["/srv/data/", "/usr/local/x"]))
    assert kept["/usr/local"] == "/p"
    assert kept["/oem"] == "/o"
    assert kept["/var/lib/extensions"] == "/p/.state/var-lib-extensions.bind"
    assert kept["/srv/data"] == "/p/.state/srv-data.bind"
    assert "/usr/local/x" not in kept


def test_no_script_of_a_bundle_runs_on_a_machine_that_builds_images() -> None:
    """Nothing of that machine is the node's."""
    action = BringToNewNode(bundle("run://localhost/x:1"), places("/p", "/o", ()), offline=True)
    with pytest.raises(KairosError, match="machine that builds images"):
        action.apply(Host("/"))
