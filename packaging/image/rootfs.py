#!/usr/bin/python3
"""Debian's part of the test node: a root file system tree without our program, made once and cached.

    packaging/image/rootfs.py       prints the path of the tree; KAIROS_BOOT_SUITE=trixie is that of Debian 13

It is made of Debian packages alone, plus the `blkid` Python module and grub-editenv. Where the release is this machine's, the
module is compiled in a throw-away directory here, else in the tree that builds packages for that release: no compiler gets
into the image. The tree is shared by all builds: never write into it.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from common import CACHE, EPOCH, TOP, cached, digest, discard, need_root, phase, run, write_tree

SUITE = os.environ.get("KAIROS_BOOT_SUITE", "bookworm")
PACKAGES = """
    systemd systemd-sysv udev dbus libpam-systemd libnss-systemd systemd-timesyncd systemd-resolved kmod iproute2 procps sudo openssh-server ca-certificates
    linux-image-cloud-amd64 dracut zstd e2fsprogs dosfstools fdisk gdisk libdevmapper1.02.1
    python3 python3-yaml python3-pyudev python3-pystemd
""".split()
BLKID = "pylibblkid==0.3"
# Left out of every package while it is unpacked. The two kernel hooks would build an initrd for nothing.
EXCLUDED = [
    "/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/lintian/*", "/usr/share/bug/*",
    "/usr/share/zoneinfo/right/*", "/usr/share/zoneinfo/posix/*", "/usr/share/pixmaps/*", "/usr/share/bash-completion/*", "/usr/share/zsh/*",
    "/usr/lib/udev/hwdb.d/*", "/etc/kernel/postinst.d/dracut", "/etc/kernel/postrm.d/dracut",
]  # fmt: skip
STUB_HOOK = 'mkdir -p "$1/etc/kernel/postinst.d" && ln -s /bin/true "$1/etc/kernel/postinst.d/dracut"'
KERNEL_EXCLUDED = ["sound", "drivers/gpu", "drivers/media", "drivers/infiniband", "drivers/net/wireless", "drivers/isdn", "net/bluetooth", "drivers/bluetooth"]
EMPTIED = ["etc/machine-id", "etc/hostname"]
REMOVED = [
    "boot/config-*", "boot/System.map-*", "boot/initrd*", "vmlinuz*", "initrd*", "etc/ssh/ssh_host_*", "var/lib/dbus/machine-id", "var/lib/apt/lists/*",
    "var/cache/*", "var/log/*", "usr/share/python-wheels", "usr/lib/python3.*/pydoc_data", "usr/lib/python3.*/lib2to3", "etc/kernel/postinst.d/dracut", "usr/lib/python3/dist-packages/lxml/includes",
]  # fmt: skip
# Upkeep of a machine whose system is changed package by package.
MASKED = ["apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "systemd-firstboot.service"]
# The root is read-only, so whatever is mounted on must be there.
MOUNT_POINTS = ["oem", "usr/local", "system/oem", "system/discovery", "run", "tmp", "efi", "snap", "srv", "opt", "home", "usr/libexec"]


def key() -> str:
    """What the tree depends on."""
    return digest(Path(__file__), SUITE, sysconfig.get_config_var("SOABI"))


def unpack(draft: Path, *more: str) -> None:
    """Debian's packages, and *more* of them."""
    with phase(f"Debian {SUITE} from packages (minutes the first time)"):
        excludes = [f"--dpkgopt=path-exclude={path}" for path in EXCLUDED]
        excludes += [f"--dpkgopt=path-exclude=/lib/modules/*/kernel/{path}/*" for path in KERNEL_EXCLUDED]
        run("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", f"--include={','.join([*PACKAGES, *more])}", f"--essential-hook={STUB_HOOK}", *excludes,
            SUITE, draft)  # fmt: skip


def build(draft: Path) -> None:
    """Unpack Debian, add what it does not package, take away what makes one machine differ from another."""
    unpack(draft)
    if (draft / f"usr/lib/python{sys.version_info.major}.{sys.version_info.minor}").is_dir():
        with phase("the blkid module, compiled outside the image"):
            add_blkid(draft)
        add_grub_editenv(draft, Path("/"))
    else:
        add_of_its_release(draft)
    tidy(draft)


def add_blkid(root: Path) -> None:
    """Compile Red Hat's binding of libblkid with this machine's compiler; the image has this machine's Python."""
    wheels = CACHE / "wheels"
    discard(wheels)
    venv = CACHE / "venv/bin/pip"
    pip = [venv] if venv.exists() else [sys.executable, "-m", "pip"]
    # Without debugging information, which names the directory that it was compiled in.
    run("env", "CFLAGS=-O2 -g0", *pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, BLKID)
    [wheel] = wheels.glob("*.whl")
    target = root / "usr/lib/python3/dist-packages"
    run(sys.executable, "-m", "zipfile", "-e", wheel, target)
    [record] = target.glob("pylibblkid-*/RECORD")
    record.unlink()


def add_of_its_release(root: Path) -> None:
    """The same binding for another Python than this machine's, and that release's grub-editenv."""
    sys.path.insert(0, str(TOP / "packaging/packages"))
    import package_source
    import package_tree

    tools = package_tree.tools(SUITE)
    chamber = package_tree.Chamber(tools, "blkid")
    try:
        with phase(f"the blkid module, compiled for {SUITE}"):
            [archive] = chamber.put(package_source.blkid(), into="/build")
            [script] = chamber.put(TOP / "packaging/blkid-extension", into="/build")
            chamber.run("sh", "-c", f"mkdir /build/source && tar -xf {archive} -C /build/source --strip-components=1 && CFLAGS='-O2 -g0' {script} /build/source /build/made")
            [module] = (chamber.upper / "build/made").glob("blkid*.so")
            run("install", "-m", "0644", module, root / "usr/lib/python3/dist-packages" / module.name)
    finally:
        chamber.close()
    add_grub_editenv(root, tools)


def add_grub_editenv(root: Path, source: Path) -> None:
    """Only the editor of GRUB's environment block, under both of its names; the boot loader itself is not the image's."""
    run("install", "-m", "0755", source / "usr/bin/grub-editenv", root / "usr/bin/grub-editenv")
    link = root / "usr/bin/grub2-editenv"
    link.symlink_to("grub-editenv")


def tidy(root: Path) -> None:
    """One kernel under a fixed name, no identity, no caches, every mount point, one time stamp."""
    for pattern in REMOVED:
        for path in root.glob(pattern):
            discard(path)
    [kernel] = sorted((root / "boot").glob("vmlinuz-*"))
    (root / "boot/vmlinuz").symlink_to(kernel.name)
    for name in MOUNT_POINTS:
        (root / name).mkdir(parents=True, exist_ok=True)
    write_tree(root, dict.fromkeys(EMPTIED, ""))
    write_tree(root, {"etc/fstab": "# written anew at each boot, from what was mounted\n"})
    # The name servers themselves, so that names resolve while systemd-resolved restarts; the package links to its own address.
    discard(root / "etc/resolv.conf")
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/resolv.conf")
    run("chroot", root, "depmod", "-a", kernel.name.removeprefix("vmlinuz-"))
    run("chroot", root, "passwd", "--lock", "root")
    run("systemctl", "--root", root, "enable", "ssh.service", "systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service")
    run("systemctl", "--root", root, "mask", *MASKED)
    libraries = [f"/{path.relative_to(root)}" for path in root.glob("usr/lib/python3*")]
    run("chroot", root, "find", *libraries, "-name", "__pycache__", "-prune", "-exec", "rm", "-r", "{}", "+")
    # -B: what it needs itself it would compile for this time stamp, not find changed, and leave; each start on a node would do that again.
    run("chroot", root, "python3", "-B", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *libraries)
    run("find", root, "-xdev", "-newermt", f"@{EPOCH}", "-exec", "touch", "--no-dereference", "--date", f"@{EPOCH}", "{}", "+")


def tree() -> Path:
    """The path of the cached tree, made if needed."""
    return cached("rootfs", key(), build, keep=4)


if __name__ == "__main__":
    need_root(sys.argv)
    print(tree())
