"""`initrd root` as the initrd runs it, in a root directory of its own: both stages, the layout between them, exit codes (D2, D3, E5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root
DOCUMENT = """\
stages:
  rootfs.before:
    - files: [{path: /run/order/1, content: "x"}]
  rootfs:
    - name: layout
      if: '[ ! -e /run/order/2 ] && [ -e /run/order/1 ]'
      environment_file: /run/cos/cos-layout.env
      environment: {RW_PATHS: "/etc /var", VOLUMES: "LABEL=COS_PERSISTENT:/usr/local", PERSISTENT_STATE_PATHS: "/home"}
    - files: [{path: /initrd-was-here, content: "x"}]
  initramfs:
    - if_files: {all: [/run/order/1], none: [/initrd-was-here]}
      files: [{path: /etc/made, content: "in the node"}, {path: /home/made, content: "x"}]
"""
RUN = """
import subprocess
from boot_node import Node
from kairos_boot.system import mounts

def leave(node, *entries):
    # What earlier boots of these entries left on COS_OEM, or on COS_STATE where there is no other.
    from kairos_boot.boot import failures
    from kairos_boot.node import grubenv
    os.makedirs(home + "/oem")
    part = next(p for p in node.partitions_ if p.label in ("COS_OEM", "COS_STATE"))
    mounts.mount(part.node, home + "/oem", "ext4")
    for entry in entries:
        failures.keep(home + "/oem", {{"kind": "failed-boot", "entry": entry, "message": "cause of " + entry, "booted": 7}}, b"log of " + entry.encode())
    grubenv.save(home + "/oem/grubenv", {{"extra_cmdline": "a", failures.LIST: " ".join(entries)}})
    mounts.unmount(home + "/oem")

def initrd(node, cmdline, document, disk=True):
    root = home + "/initrd"
    for path in ("/usr", "/bin", "/lib", "/lib64", "/sbin", "/proc", "/sys", "/dev"):
        if os.path.islink(path):
            os.makedirs(os.path.dirname(root + path), exist_ok=True); os.symlink(os.readlink(path), root + path)
        elif os.path.isdir(path):
            os.makedirs(root + path); mounts.mount(path, root + path, flags=mounts.BIND | mounts.REC)
    for path in ("/run", "/etc", "/tmp", "/sysroot", "/checkout"):
        os.makedirs(root + path)
    mounts.mount({top!r}, root + "/checkout", flags=mounts.BIND)
    mounts.mount("tmpfs", root + "/run", "tmpfs")
    mounts.mount(node.sysroot, root + "/sysroot", flags=mounts.BIND | mounts.REC)
    open(home + "/cmdline", "w").write(cmdline)
    mounts.mount(home + "/cmdline", root + "/proc/cmdline", flags=mounts.BIND)
    if disk:
        os.makedirs(root + "/run/kairos-boot")
        open(root + "/run/kairos-boot/boot-disk", "w").write("" if "live:" in cmdline else f"DISK=vda\\nSTATE=/dev/vda4\\nFSTYPE=ext4\\nIMAGE=/active.img\\nLOOP={{node.root_loop}}\\n")
        with open(root + "/run/kairos-boot/partitions", "w") as file:
            for p in node.partitions_:
                file.write("\\t".join(getattr(p, name) for name in p.__match_args__) + "\\n")
    if "run=full" in cmdline:
        for name in ("active_mode",):
            os.makedirs(root + "/run/cos"); open(root + "/run/cos/" + name, "w").write("1")
        mounts.mount("", root + "/run", "", ("remount", "size=256k"))
        try:
            open(root + "/run/filling", "wb").write(bytes(1 << 20))
        except OSError:
            pass
    def enter():
        os.chroot(root); os.chdir("/checkout")
    done = subprocess.run(["/usr/bin/python3", "-B", "-m", "kairos_boot", "initrd", "root"], preexec_fn=enter, capture_output=True, text=True)
    def read(path):
        try:
            return open(root + path).read()
        except OSError:
            return None
    def names(path):
        return sorted(os.listdir(root + path)) if os.path.isdir(root + path) else None
    tell({{"code": done.returncode, "said": done.stderr, "log": read("/run/immucore/immucore.log"), "cos": names("/run/cos"), "fatal": read("/run/cos/fatal"),
          "ready": os.path.exists(root + "/run/kairos-boot/ready"), "made": read("/sysroot/etc/made"), "home": read("/sysroot/usr/local/.state/home.bind/made"),
          "grubenv": read("/sysroot/oem/grubenv"), "kept": names("/sysroot/oem/.kairos"),
          "here": os.path.exists(root + "/initrd-was-here"), "fstab": read("/sysroot/etc/fstab"),
          "mounts": [m.fstype for m in mounts.mounted() if m.target.startswith(root + "/sysroot")],
          "left": [m.target for m in mounts.mounted() if m.target.startswith((root + "/sysroot/proc", root + "/sysroot/dev", root + "/sysroot/sys", root + "/sysroot/run"))],
          "extensions": {{name: os.readlink(root + "/run/extensions/" + name) for name in names("/run/extensions") or []}},
          "ledger": [__import__("json").loads(line) for name in names("/run/cos/ledger") or [] for line in read("/run/cos/ledger/" + name).splitlines()]}})
"""
ACTIVE = "root=LABEL=COS_ACTIVE cos-img/filename=/cOS/active.img fsck.mode=skip rd.cos.oemtimeout=0"


@pytest.fixture
def initrd(unshared: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Run it for a node whose image has *document* in /system/oem."""
    from pathlib import Path

    top = str(Path(__file__).resolve().parents[2])

    def run(cmdline: str, document: str = DOCUMENT, *, node: str = "", disk: bool = True, files: dict[str, str] | None = None) -> dict[str, Any]:
        tree = json.dumps({"system/oem/00.yaml": document, "usr/lib/os-release": "ID=test\n", **(files or {})})
        told = unshared(RUN.format(top=top) + f"""
node = Node(home, tree={tree}{node})
try:
    initrd(node, {cmdline!r}, None, {disk})
finally:
    for m in reversed(mounts.mounted()):
        if m.target.startswith(home + "/initrd"):
            mounts.unmount(m.target, detach=True)
    node.close()
""")
        assert isinstance(told, dict)
        return told

    return run


def test_an_active_boot_runs_both_stages_around_the_layout(initrd: Callable[..., dict[str, Any]]) -> None:
    told = initrd(ACTIVE)
    assert (told["code"], told["ready"], told["fatal"]) == (0, True, None), told["log"]
    assert (told["made"], told["home"], told["here"]) == ("in the node", "x", True)
    assert "active_mode" in told["cos"]
    assert told["left"] == []
    stages = [line.partition("Running stage: ")[2] for line in told["log"].splitlines() if "Running stage: " in line]
    assert stages == ["rootfs.before", "rootfs", "rootfs.after", "initramfs.before", "initramfs", "initramfs.after"]
    marks = [(r["kind"], r.get("stage") or r.get("where")) for r in told["ledger"] if r["kind"] == "mount" or (r["kind"], r.get("event")) == ("stage", "start")]
    places = [mark for _, mark in marks]
    assert places.index("/oem") < places.index("rootfs") < places.index("/usr/local") < places.index("/etc") < places.index("/home") < places.index("/etc/fstab") \
        < places.index("initramfs")
    assert all(r["result"] == "done" for r in told["ledger"] if r["kind"] == "mount")


def test_extensions_of_the_boot_are_linked_where_systemd_will_find_them(initrd: Callable[..., dict[str, Any]]) -> None:
    """Behind the switch the links lead into the root: this boot's own and the common ones, and no other boot's; the boot is as good as before."""
    store = "var/lib/kairos/extensions"
    told = initrd(ACTIVE, files={f"{store}/active/a.raw": "x", f"{store}/common/c.raw": "x", f"{store}/passive/p.raw": "x", f"{store}/active/README": "x"})
    assert told["extensions"] == {"a.raw": f"/{store}/active/a.raw", "c.raw": f"/{store}/common/c.raw"}
    assert told["code"] == 0
    assert "Extensions of this boot: a.raw, c.raw" in told["log"]


def test_a_failing_step_and_a_missing_partition_make_the_boot_degraded_and_all_else_is_done(initrd: Callable[..., dict[str, Any]]) -> None:
    told = initrd(ACTIVE, DOCUMENT + "    - commands: [exit 3]\n", node=", oem=False")
    assert (told["code"], told["ready"], told["made"]) == (1, True, "in the node")
    assert [(r["where"], r["result"]) for r in told["ledger"] if r["kind"] == "mount" and r["result"] != "done"] == [("/oem", "missing")]
    assert any(r["kind"] == "step" and r["result"] == "failed" for r in told["ledger"])


def test_the_console_names_the_first_culprit_of_a_stage_and_how_many_more_there_are(initrd: Callable[..., dict[str, Any]]) -> None:
    """A count alone would send everybody to the logs (E7); what a command printed cannot steer the terminal (E6)."""
    steps = "    - sysctl: {no.such.thing: 1}\n    - commands: [\"printf '\\\\033[2Jwrong'; exit 3\"]\n"
    told = initrd(ACTIVE, DOCUMENT.replace("  initramfs:\n", f"{steps}  initramfs:\n"))
    [line] = [line for line in told["log"].splitlines() if "Stage rootfs: " in line]
    assert "2 failed: /system/oem/00.yaml:" in line
    assert "no such kernel setting: /proc/sys/no/such/thing" in line
    assert line.endswith("(and 1 more)")


def test_a_system_that_comes_up_takes_over_what_kept_others_from_it(initrd: Callable[..., dict[str, Any]]) -> None:
    """Its record has the reasons, the boot loader may try the entries again, and the logs stay where status says (D13)."""
    told = initrd(ACTIVE + " kairos.failed=recovery", node="); leave(node, 'fallback'")
    assert told["code"] == 0, told["log"]
    found = [(r["entry"], r["message"], r["log"], r["happened"]) for r in told["ledger"] if r["kind"] == "failed-boot"]
    assert found == [("fallback", "cause of fallback", "/oem/.kairos/failed-boot-fallback.log", 7), ("recovery", "the boot loader could not load the recovery system", "", 0)]
    assert told["grubenv"].rstrip("#") == "# GRUB Environment Block\nextra_cmdline=a\nfailed_entries=\n"
    assert told["kept"] == ["failed-boot-fallback.jsonl", "failed-boot-fallback.log"]
    assert "The entry fallback did not boot: cause of fallback" in told["log"]


def test_a_system_that_was_started_twice_in_vain_is_no_image_that_cannot_be_loaded(initrd: Callable[..., dict[str, Any]]) -> None:
    """What GRUB tells of an entry that it starts no more by itself (G4)."""
    told = initrd(ACTIVE + " kairos.failed=cos kairos.tried=cos kairos.failed=fallback")
    found = [(r["entry"], r["message"]) for r in told["ledger"] if r["kind"] == "failed-boot"]
    assert [entry for entry, _ in found] == ["cos", "fallback"]
    assert found[0][1].startswith("the active system was started twice and not found good either time")
    assert found[1][1].startswith("the boot loader could not load the passive system")


def test_a_recovery_system_that_cannot_read_oem_looks_for_reasons_on_the_state_partition(initrd: Callable[..., dict[str, Any]]) -> None:
    encrypted = "); node.add('COS_STATE', 'vda'); oem = node.partitions_.pop(0); leave(node, 'cos', 'fallback'); node.partitions_.append(type(oem)(oem.node, 'vda', 'COS_OEM', 'crypto_LUKS')"
    told = initrd(ACTIVE.replace("ACTIVE", "SYSTEM").replace("active", "recovery"), node=encrypted)
    found = [(r["entry"], r["log"]) for r in told["ledger"] if r["kind"] == "failed-boot"]
    assert found == [("cos", ".kairos/failed-boot-cos.log on COS_STATE"), ("fallback", ".kairos/failed-boot-fallback.log on COS_STATE")]
    assert (told["code"], told["ready"]) == (1, True)


def test_without_a_layout_the_defaults_are_writable_and_the_boot_is_degraded(initrd: Callable[..., dict[str, Any]]) -> None:
    told = initrd(ACTIVE, "stages: {}\n")
    assert (told["code"], told["ready"]) == (1, True)
    assert told["mounts"].count("overlay") == 7


def test_an_image_without_a_system_ends_the_boot_with_cause_and_remedy(initrd: Callable[..., dict[str, Any]]) -> None:
    told = initrd(ACTIVE, node="); node.leave(); os.unlink(node.image + '.d/sbin/init'); (node.home, setattr(node, 'image', __import__('boot_node').make_file_system(home + '/e.img', 'COS_ACTIVE', node.image + '.d')), node.boot()")
    assert (told["code"], told["ready"]) == (3, False)
    assert "no init" in told["fatal"]
    assert "Remedy" in told["fatal"]
    assert told["ledger"][-1]["severity"] == "error"


@pytest.mark.parametrize(("cmdline", "sentinel"), [
    ("root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs rd.cos.disable", "live_mode"), ("netboot rd.cos.disable", "live_mode"),
    ("root=LABEL=COS_ACTIVE rd.immucore.disabled rd.cos.oemtimeout=0", "active_mode"), ("root=live:LABEL=COS_RECOVERY rd.cos.oemtimeout=0", "recovery_mode"),
])
def test_where_others_make_the_root_only_the_stages_run(initrd: Callable[..., dict[str, Any]], cmdline: str, sentinel: str) -> None:
    document = DOCUMENT.replace("path: /etc/made", "path: /tmp/made").replace("{path: /home/made", "{path: /run/made")
    told = initrd(cmdline, document, disk=False, node="); mounts.mount('tmpfs', node.sysroot + '/tmp', 'tmpfs'")
    assert (told["code"], told["ready"]) == (0, True), told["log"]
    assert told["cos"][:2] == sorted([sentinel, "cos-layout.env"])[:2] or sentinel in told["cos"]
    assert told["mounts"] == ["ext4", "tmpfs"]
    assert "Running stage: initramfs.after" in told["log"]
    assert told["fstab"] is None


def test_a_full_run_costs_what_is_written_there_and_no_boot(initrd: Callable[..., dict[str, Any]]) -> None:
    """A log or a record that has no room is no reason to stay down (C14)."""
    told = initrd(ACTIVE + " run=full")
    assert (told["code"], told["ready"], told["fatal"]) == (1, True, None), told["said"]
    assert told["mounts"].count("overlay") == 7
    assert told["home"] is None


def test_what_breaks_behind_the_complete_root_makes_the_boot_degraded_and_not_fatal(initrd: Callable[..., dict[str, Any]]) -> None:
    """A step may unmount what the stage itself stands on."""
    told = initrd(ACTIVE, DOCUMENT + "    - commands: [umount -l /run]\n")
    assert (told["ready"], told["fatal"], told["made"]) == (True, None, "in the node")
    assert told["code"] in (0, 1)


def test_where_others_make_the_root_the_only_oem_partition_is_mounted_if_there_is_one(initrd: Callable[..., dict[str, Any]]) -> None:
    document = DOCUMENT.replace("path: /etc/made", "path: /oem/made").replace("{path: /home/made", "{path: /run/made")
    told = initrd("root=live:LABEL=COS_RECOVERY", document)
    assert (told["code"], told["mounts"]) == (0, ["ext4", "ext4"])
