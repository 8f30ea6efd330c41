"""The tree of a node as an ordinary system: a plain, writable root in place of COS_STATE, the same disk, kernel and initrd, and nothing of ours that runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import variant
from common import debugfs, run, write_tree

UNITS = ("kairos-boot-image.service", "kairos-boot-initrd.service", "cos-setup-fs.service", "cos-setup-boot.service", "cos-setup-network.service",
         "cos-setup-reconcile.timer", "kairos-boot-assess.timer")  # fmt: skip
NETWORK = "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n\n[DHCPv4]\nClientIdentifier=mac\n"
KINDS = ("ecdsa", "ed25519")


def make(raw: Path, scratch: Path, disk: Path, words: str = "") -> dict[str, object]:
    """Make *disk*, an overlay of the node's disk *raw*, with the active image as its root; returns how a machine with it is started, *words* on its command line.

    The other partitions stay: udev looks at as many as on a node. The root has what an ordinary system gets from its installer, so that no boot is a first one: a name and an id, host keys, a network file, our key for root.
    """
    overlay = variant.Overlay(raw, disk)
    start = overlay.parts["state"]["start"] * variant.SECTOR
    root = scratch / "plain.raw"
    run("debugfs", "-R", f"dump /cOS/active.img {root}", f"{raw}?offset={start}")
    run("truncate", "-s", "+512M", root)
    subprocess.run(["e2fsck", "-fy", str(root)], capture_output=True, check=False)  # it says by its status what it mended
    run("resize2fs", root)
    run("tune2fs", "-L", "PLAIN", "-O", "has_journal", root)
    variant.access()
    files: dict[str, tuple[str, int]] = {
        "/root/.ssh/authorized_keys": (variant.SSH_KEY.with_suffix(".pub").read_text(), 0o600),
        "/etc/systemd/network/20-dhcp.network": (NETWORK, 0o644),
        "/etc/hostname": ("plain\n", 0o644),
        "/etc/machine-id": (f"{0xBE7C:032x}\n", 0o444),
    }
    for kind in KINDS:
        key = scratch / f"ssh_host_{kind}_key"
        run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key)
        files |= {f"/etc/ssh/{key.name}": (key.read_text(), 0o600), f"/etc/ssh/{key.name}.pub": (key.with_suffix(".pub").read_text(), 0o644)}
    if "Type: directory" not in run("debugfs", "-R", "stat /root/.ssh", root):
        debugfs(root, "mkdir /root/.ssh")
    lines = ["set_inode_field /root/.ssh mode 040700"]
    for number, (target, (text, mode)) in enumerate(files.items()):
        source = scratch / f"file-{number}"
        source.write_text(text)
        exists = "Inode:" in run("debugfs", "-R", f"stat {target}", root)
        lines += [*([f"rm {target}"] if exists else []), f"write {source} {target}", f"set_inode_field {target} mode 0{0o100000 | mode:o}"]
    debugfs(root, *lines)
    overlay.write(root, start)
    root.unlink()
    masks = " ".join(f"{prefix}systemd.mask={unit}" for unit in UNITS for prefix in ("", "rd."))
    append = f"console=tty1 console=ttyS0,115200 net.ifnames=1 root=LABEL=PLAIN rootfstype=ext4 rw rd.immucore.disable selinux=0 {masks} {words}"
    return {"kernel": raw.parent / "vmlinuz", "initrd": initrd(raw.parent / "initrd", scratch), "append": append}


def initrd(ours: Path, scratch: Path) -> Path:
    """The same initrd without the drop-in that keeps an unfinished root from being entered: the kernel unpacks what is appended over the rest."""
    over = scratch / "over"
    write_tree(over, {"usr/lib/systemd/system/initrd-cleanup.service.d/50-kairos-boot.conf": ""})
    names = [str(path.relative_to(over)) for path in sorted(over.rglob("*"))]
    run("cpio", "-o", "-H", "newc", "--quiet", "-O", scratch / "over.cpio", cwd=over, stdin="\n".join(names) + "\n")
    body = ours.read_bytes()
    plain = scratch / "initrd"
    plain.write_bytes(body + bytes(-len(body) % 4) + (scratch / "over.cpio").read_bytes())
    return plain
