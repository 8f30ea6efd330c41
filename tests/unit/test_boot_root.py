"""The mount plan as data: order, fstab, what is left out (D3, spec/initramfs.md 3.6-3.9)."""

from __future__ import annotations

import pytest

from kairos_boot.actions.mounts import Bind, Mount, Overlay
from kairos_boot.boot import fstab, root
from kairos_boot.boot.layout import Layout, Volume
from kairos_boot.system.udev import Partition

PERSISTENT = Partition("/dev/vda5", "vda", "COS_PERSISTENT", "ext4", "p5", "u5")
VOLUME = Volume("LABEL=COS_PERSISTENT", "/usr/local", ("rw",))


def resolve(path: str) -> str:
    return f"/sysroot{path}"


def test_layers_and_volumes_come_parents_first() -> None:
    plan = Layout(rw_paths=("/var/lib/x", "/usr/local", "/var", "/etc"), volumes=(Volume("LABEL=d", "/var/lib"), VOLUME))
    parts = root.layers(plan, {"LABEL=d": Partition("/dev/vda6"), VOLUME.spec: PERSISTENT}, resolve, 30)
    assert [(type(p.action).__name__, p.where) for p in parts] == [
        ("Overlay", "/var"), ("Overlay", "/etc"), ("Overlay", "/usr/local"), ("Mount", "/var/lib"), ("Mount", "/usr/local"), ("Overlay", "/var/lib/x")]


def test_a_failed_layer_is_fatal_and_a_missing_volume_is_not() -> None:
    parts = root.layers(Layout(rw_paths=("/etc",), volumes=(VOLUME,)), {VOLUME.spec: PERSISTENT}, resolve, 30)
    assert {p.where: p.fatal for p in parts} == {"/etc": True, "/usr/local": False}


def test_in_place_of_the_missing_persistent_partition_there_is_a_layer_in_memory() -> None:
    """Home directories and host keys can be written in such a boot, they only do not last (D3: every other mount is done)."""
    parts = root.layers(Layout(rw_paths=("/etc",), volumes=(VOLUME,), state_paths=("/home",)), {VOLUME.spec: None}, resolve, 30)
    stand_in = next(p for p in parts if p.where == "/usr/local")
    assert isinstance(stand_in.action, Overlay)
    assert not stand_in.fatal


def test_another_missing_volume_has_no_stand_in() -> None:
    volume = Volume("LABEL=d", "/data")
    assert [p.where for p in root.layers(Layout(rw_paths=("/etc",), volumes=(volume,)), {"LABEL=d": None}, resolve, 30)] == ["/etc"]


def test_binds_go_by_depth_then_by_the_last_part() -> None:
    plan = Layout(state_paths=("/var/lib/kubelet", "/home", "/etc/ssh", "/var/lib", "/etc/cni"))
    parts, trees, problems = root.binds(plan, resolve)
    assert [p.where for p in parts] == ["/home", "/etc/cni", "/var/lib", "/etc/ssh", "/var/lib/kubelet"]
    assert parts[3].action == Bind("/sysroot/usr/local/.state/etc-ssh.bind", "/sysroot/etc/ssh")
    assert (trees[3].name, trees[3].image) == ("etc-ssh", "/sysroot/etc/ssh")
    assert not problems


def test_stores_that_would_collide_or_contain_themselves_are_told() -> None:
    parts, _, problems = root.binds(Layout(state_paths=("/etc/a/b", "/etc/a-b", "/usr/local", "/usr")), resolve)
    assert [p.where for p in parts] == ["/etc/a-b"]
    assert len(problems) == 3


@pytest.mark.parametrize(("overlay", "options"), [("tmpfs:25%", "size=25%"), ("tmpfs:1G", "size=1G"), ("tmpfs:", "size=20%"), ("LABEL=gone", "size=20%")])
def test_the_base_is_memory_unless_its_device_is_there(overlay: str, options: str) -> None:
    tmp, base = root.base(Layout(overlay=overlay), "/sysroot", None)
    assert isinstance(base.action, Mount)
    assert (tmp.where, base.where, base.action.options[0], base.fatal) == ("/tmp", "/run/overlay", options, True)


def test_the_base_on_a_device() -> None:
    _, base = root.base(Layout(overlay="LABEL=x"), "/sysroot", PERSISTENT)
    assert isinstance(base.action, Mount)
    assert (base.action.source, base.action.fstype) == ("/dev/vda5", "ext4")


def test_the_fstab_names_the_nodes_own_paths_and_nothing_waits_for_ever() -> None:
    plan = Layout(rw_paths=("/etc", "/var/lib/x"), volumes=(VOLUME,), state_paths=("/etc/ssh",))
    parts = [*root.base(plan, "/sysroot", None), *root.layers(plan, {VOLUME.spec: PERSISTENT}, resolve, 30), *root.binds(plan, resolve)[0]]
    text = fstab.render([fstab.Line("/dev/disk/by-label/COS_ACTIVE", "/", "auto", ("ro",)), *(p.line for p in parts if p.line)])
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert [line[1] for line in lines] == ["/", "/tmp", "/run/overlay", "/etc", "/usr/local", "/var/lib/x", "/etc/ssh"]
    assert "/sysroot" not in text
    assert lines[3][3].startswith("lowerdir=/etc,upperdir=/run/overlay/etc/.overlay/upper,workdir=/run/overlay/etc/.overlay/work")
    assert lines[5][3].startswith("lowerdir=/var/lib/x,upperdir=/run/overlay/var-lib-x/.overlay/upper")
    assert lines[4][0] == "/dev/disk/by-partuuid/p5"
    assert {"nofail", "x-systemd.device-timeout=30s"} <= set(lines[4][3].split(","))
    assert lines[6][:4] == ["/usr/local/.state/etc-ssh.bind", "/etc/ssh", "none", "bind,x-initrd.mount,nofail"]
    assert all("nofail" in line[3].split(",") for line in lines[1:])


def test_the_fstab_is_stable_and_has_each_place_once() -> None:
    lines = [fstab.Line("a", "/x", "ext4", ("ro",)), fstab.Line("b", "/y z", "ext4"), fstab.Line("c", "/x", "ext4", ("rw",))]
    assert fstab.render(lines) == fstab.HEAD + "b /y\\040z ext4 defaults 0 0\nc /x ext4 rw 0 0\n"


@pytest.mark.parametrize(("partition", "spec"), [
    (PERSISTENT, "/dev/disk/by-partuuid/p5"), (Partition("/dev/vda", "vda", "", "ext4", "", "u"), "/dev/disk/by-uuid/u"), (Partition("/dev/vda"), "/dev/vda"),
])
def test_a_device_of_the_fstab_is_named_so_that_no_other_disk_takes_its_place(partition: Partition, spec: str) -> None:
    assert fstab.device(partition) == spec
