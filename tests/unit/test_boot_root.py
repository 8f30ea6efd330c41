"""The mount plan as data: order, fstab, what is left out (D3, D11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.mounts import Bind, Mount, Overlay
from kairos_boot.boot import fstab, order
from kairos_boot.boot.layout import RootLayout, Volume
from kairos_boot.boot.root import VOLUME as LASTING
from kairos_boot.boot.root import Part, Parts
from kairos_boot.errors import KairosError
from kairos_boot.system.udev import Partition

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PERSISTENT = Partition("/dev/vda5", "vda", "COS_PERSISTENT", "ext4", "p5", "u5")
DATA = Partition("/dev/vda6")
VOLUME = Volume("LABEL=COS_PERSISTENT", "/usr/local", ("rw",))
OEM = Part(Mount("/dev/vda2", "/sysroot/oem", "ext4", ("rw",)), "/oem", "/oem", LASTING)


def plan(links: Mapping[str, str] | None = None, missing: Collection[str] = (), *, found: bool = True, memory: bool = True, **layout: object) -> order.Plan:
    """The plan of a layout with the persistent partition (there if *found*), for an image with these *links* and without *missing*."""
    def locate(path: str) -> str:
        if path == "/loop":
            raise KairosError("too many levels of symbolic links", path)
        for link, target in (links or {}).items():
            if f"{path}/".startswith(f"{link}/"):
                return locate(target + path[len(link):])
        return path

    parts = Parts(RootLayout(**{"rw_paths": ("/etc",), "volumes": (VOLUME,), **layout}), locate, "/sysroot")  # type: ignore[arg-type]
    wanted = parts.all({VOLUME.spec: PERSISTENT if found else None, "LABEL=d": DATA}, 30)
    made = order.arrange(wanted, parts.store, [OEM], lambda place: place not in missing, memory=memory, told=parts.held)
    return order.Plan(made.first, made.rest, made.notes, made.warnings, (*parts.problems, *made.problems))


def names(made: order.Plan) -> list[str]:
    """Kind and place of every mount but /tmp, in order."""
    return [f"{type(p.action).__name__} {p.place}" for p in (*made.first, *made.rest) if p.place != "/tmp" and not p.needless]


def told(made: order.Plan) -> list[str]:
    """The paths that something is said of."""
    return [path for path, _ in (*made.notes, *made.warnings, *made.problems)] + [p.where for p in (*made.first, *made.rest) if p.needless]


def test_parents_come_first_whatever_their_kind() -> None:
    made = plan(rw_paths=("/var", "/home/guest", "/etc"), state_paths=("/home", "/var/lib"), volumes=(Volume("LABEL=d", "/var/lib/d"), VOLUME))
    assert names(made) == ["Mount /usr/local", "Overlay /etc", "Bind /home", "Overlay /var", "Overlay /home/guest", "Bind /var/lib", "Mount /var/lib/d"]
    assert told(made) == []


def test_what_leads_to_the_store_comes_before_everything_else() -> None:
    made = plan({"/usr/local": "/var/usrlocal"}, rw_paths=("/a", "/var"), state_paths=("/a/b",))
    assert [p.place for p in made.first] == ["/var", "/var/usrlocal"]
    assert names(made)[2:] == ["Overlay /a", "Bind /a/b"]
    assert [p.action.source for p in made.rest if isinstance(p.action, Bind)] == ["/sysroot/var/usrlocal/.state/a-b.bind"]


def test_at_one_place_the_most_lasting_wins_and_the_others_are_told() -> None:
    made = plan(rw_paths=("/home", "/usr/local", "/oem", "/d"), state_paths=("/home", "/d", "/e"), volumes=(VOLUME, Volume("LABEL=d", "/d"), Volume("LABEL=e", "/e")))
    assert names(made) == ["Mount /usr/local", "Bind /d", "Bind /e", "Bind /home"]
    assert sorted(told(made)) == ["/d", "/d", "/home", "/oem", "/usr/local"]


def test_paths_that_lead_to_one_place_are_one_place() -> None:
    made = plan({"/home": "/var/home", "/opt": "/home/opt"}, rw_paths=("/home", "/etc", "/opt"), state_paths=("/home", "/var", "/var/home"))
    assert names(made) == ["Mount /usr/local", "Overlay /etc", "Bind /var", "Bind /var/home", "Overlay /var/home/opt"]
    [bind] = [p for p in made.rest if p.place == "/var/home"]
    assert (bind.where, bind.name) == ("/var/home", "var-home")  # whatever the order of the list, since it is the name of the store
    assert sorted(told(made)) == ["/home", "/home"]


def test_a_volume_at_the_place_of_oem_is_left_out_so_fstab_has_one_line() -> None:
    made = plan(volumes=(Volume("LABEL=d", "/oem"), VOLUME))
    assert names(made) == ["Overlay /etc", "Mount /usr/local"]
    assert told(made) == ["/oem"]


def test_a_layer_inside_a_layer_changes_nothing_unless_a_disk_holds_their_stores() -> None:
    """The kernel refuses the third of them."""
    assert names(plan(rw_paths=("/var", "/var/lib", "/var/lib/x"))) == ["Overlay /var", "Mount /usr/local"]
    assert names(plan(rw_paths=("/var", "/var/lib", "/var/lib/x"), memory=False)) == ["Overlay /var", "Overlay /var/lib", "Mount /usr/local"]


@pytest.mark.parametrize("path", ["/", "/run/x", "/proc", "/loop", "/leads-to-root", "/leads-to-dev/x"])
def test_what_no_layout_can_change_is_told_and_everything_else_is_done(path: str) -> None:
    made = plan({"/leads-to-root": "/", "/leads-to-dev": "/dev"}, rw_paths=(path, "/etc"))
    assert (names(made), told(made)) == (["Overlay /etc", "Mount /usr/local"], [path])


@pytest.mark.parametrize(("more", "path"), [
    ({"state_paths": ("/usr/local", "/home")}, "/usr/local"), ({"state_paths": ("/usr", "/home")}, "/usr"), ({"state_paths": ("/usr/local/.state/x", "/home")}, "/usr/local/.state/x"),
    ({"state_paths": ("/home",), "rw_paths": ("/usr/local/.state",)}, "/usr/local/.state"), ({"state_paths": ("/home",), "rw_paths": ("/usr/local/.state/home.bind",)}, "/usr/local/.state/home.bind"),
    ({"state_paths": ("/home",), "rw_paths": ("/usr/local/s",), "state_target": "/usr/local/s/t"}, "/usr/local/s"),
])
def test_what_would_hide_the_store_or_hold_itself_is_left_out_and_told(more: dict[str, object], path: str) -> None:
    made = plan(**{"rw_paths": (), **more})  # type: ignore[arg-type]
    assert (names(made), told(made)) == (["Mount /usr/local", "Bind /home"], [path])


def test_stores_of_two_paths_are_never_one() -> None:
    made = plan(state_paths=("/etc/a/b", "/etc/a-b"), rw_paths=("/s/a", "/s-a"))
    assert names(made) == ["Mount /usr/local", "Overlay /s-a", "Overlay /s/a", "Bind /etc/a-b"]
    assert told(made) == ["/etc/a/b"]
    assert len({p.action.store for p in made.rest if isinstance(p.action, Overlay)}) == 2


def test_what_the_image_does_not_have_is_made_in_a_mount_and_nowhere_else() -> None:
    made = plan(missing=("/new", "/etc/new", "/home/new", "/vol"), rw_paths=("/etc", "/new"), state_paths=("/etc/new", "/home", "/home/new"),
                volumes=(VOLUME, Volume("LABEL=d", "/vol")))
    assert names(made) == ["Mount /usr/local", "Overlay /etc", "Bind /home", "Bind /etc/new", "Bind /home/new"]
    assert ([path for path, _ in made.warnings], [path for path, _ in made.problems]) == (["/new"], ["/vol"])


def test_only_a_layer_of_the_image_itself_is_worth_the_boot() -> None:
    made = plan(rw_paths=("/etc", "/home/guest", "/usr/local/x"), state_paths=("/home",))
    assert {p.place: p.fatal for p in made.rest if isinstance(p.action, Overlay)} == {"/etc": True, "/home/guest": False, "/usr/local/x": False}
    assert not any(p.fatal for p in made.first)


def test_in_place_of_the_missing_persistent_partition_there_is_a_layer_in_memory() -> None:
    """Home directories and host keys can be written in such a boot, they only do not last (D3: every other mount is done)."""
    made = plan(found=False, state_paths=("/home",))
    assert names(made) == ["Overlay /usr/local", "Overlay /etc", "Bind /home"]
    assert not made.first[0].fatal
    assert told(made) == []


def test_the_same_layer_stands_by_for_a_persistent_partition_that_cannot_be_mounted() -> None:
    [part] = plan(state_paths=("/home",)).first
    assert part.instead
    assert isinstance(part.instead.action, Overlay)


@pytest.mark.parametrize(("more", "mounts"), [
    ({"volumes": (), "rw_paths": ("/etc",)}, ["Overlay /etc", "Overlay /home"]),  # the store would be in the read-only image
    ({"volumes": (Volume("LABEL=d", "/usr/local"),)}, ["Mount /usr/local", "Overlay /etc", "Overlay /home"]),  # or on a read-only volume
    ({"volumes": (), "rw_paths": ("/usr/local",)}, ["Overlay /usr/local", "Bind /home"]),  # or in memory
])
def test_a_layout_without_a_place_for_what_is_persistent_is_told_once_and_all_else_is_done(more: dict[str, object], mounts: list[str]) -> None:
    made = plan(state_paths=("/home",), **more)  # type: ignore[arg-type]
    assert (names(made), [path for path, _ in made.problems]) == (mounts, ["/usr/local/.state"])


def test_another_missing_volume_has_no_stand_in() -> None:
    assert names(plan(volumes=(Volume("LABEL=gone", "/data"),))) == ["Overlay /etc"]


@pytest.mark.parametrize(("overlay", "options"), [("tmpfs:25%", "size=25%"), ("tmpfs:1G", "size=1G"), ("tmpfs:", "size=20%"), ("LABEL=gone", "size=20%")])
def test_the_base_is_memory_unless_its_device_is_there(overlay: str, options: str) -> None:
    base = Parts(RootLayout(overlay=overlay), str, "/sysroot").base(None)
    assert isinstance(base.action, Mount)
    assert (base.where, base.action.options[0], base.fatal) == ("/run/overlay", options, True)


def test_the_base_on_a_device() -> None:
    base = Parts(RootLayout(overlay="LABEL=x"), str, "/sysroot").base(PERSISTENT)
    assert isinstance(base.action, Mount)
    assert (base.action.source, base.action.fstype) == ("/dev/vda5", "ext4")


def test_the_fstab_names_the_nodes_own_paths_and_nothing_waits_for_ever() -> None:
    made = plan({"/srv": "/etc/srv"}, rw_paths=("/etc", "/usr/local/x-y"), state_paths=("/srv",))
    text = fstab.render([fstab.Line("/dev/disk/by-label/COS_ACTIVE", "/", "auto", ("ro",)), *(p.line for p in (*made.first, *made.rest) if p.line)])
    lines = {line.split()[1]: line.split() for line in text.splitlines() if not line.startswith("#")}
    assert list(lines) == ["/", "/usr/local", "/etc", "/tmp", "/etc/srv", "/usr/local/x-y"]
    assert "/sysroot" not in text
    assert lines["/etc"][3].startswith("lowerdir=/etc,upperdir=/run/overlay/etc/.overlay/upper,workdir=/run/overlay/etc/.overlay/work")
    assert lines["/usr/local/x-y"][3].startswith("lowerdir=/usr/local/x-y,upperdir=/run/overlay/usr-local-x-y/.overlay/upper")
    assert lines["/usr/local"][0] == "/dev/disk/by-partuuid/p5"
    assert {"nofail", "x-systemd.device-timeout=30s"} <= set(lines["/usr/local"][3].split(","))
    assert lines["/etc/srv"][:4] == ["/usr/local/.state/srv.bind", "/etc/srv", "none", "bind,x-initrd.mount,nofail"]
    assert all("nofail" in line[3].split(",") for line in list(lines.values())[1:])


def test_the_fstab_is_stable_and_has_each_place_once() -> None:
    lines = [fstab.Line("a", "/x", "ext4", ("ro",)), fstab.Line("b", "/y z", "ext4"), fstab.Line("c", "/x", "ext4", ("rw",))]
    assert fstab.render(lines) == fstab.HEAD + "b /y\\040z ext4 defaults 0 0\nc /x ext4 rw 0 0\n"


@pytest.mark.parametrize(("partition", "spec"), [
    (PERSISTENT, "/dev/disk/by-partuuid/p5"), (Partition("/dev/vda", "vda", "", "ext4", "", "u"), "/dev/disk/by-uuid/u"), (Partition("/dev/vda"), "/dev/vda"),
])
def test_a_device_of_the_fstab_is_named_so_that_no_other_disk_takes_its_place(partition: Partition, spec: str) -> None:
    assert fstab.device(partition) == spec
