#!/bin/bash
# The initrd half of a node: attaches the state image and lays out the immutable root. Sourced by dracut.

# called by dracut
check() {
    # The machine that builds images is not a node: only who asks for the module (add_dracutmodules) gets it.
    [[ -d $dracutsysrootdir/usr/lib/kairos-boot ]] || return 1
    require_binaries python3 e2fsck mount || return 1
    return 255
}

# called by dracut
depends() {
    echo systemd-initrd dracut-systemd udev-rules rootfs-block fs-lib
}

# called by dracut
installkernel() {
    # The root is a file system in a file, with overlays on top, whatever the building machine uses itself;
    # a medium with user data is FAT or ISO 9660; that of a live system is the latter, with a squashfs on it.
    hostonly='' instmods loop overlay ext4 squashfs isofs vfat nls_cp437 nls_iso8859-1 nls_ascii sr_mod
}

# called by dracut
install() {
    # The interpreter and all that the program imports, byte-compiled, without the sources; libraries are dracut's business.
    local closure
    closure=$(/usr/bin/python3 -ISB "$moddir/closure.py" "$initdir") || {
        derror "kairos-boot: the closure of the program could not be made"
        return 1
    }
    # shellcheck disable=SC2086
    inst_multiple /usr/bin/python3 $closure
    # Passwords in plain text are hashed in the stage initramfs; the interpreter opens this by its name.
    inst_libdir_file "libcrypt.so.*"
    inst_simple /usr/bin/kairos-boot
    ln -sfn kairos-boot "$initdir/usr/bin/kairos-agent"

    # What published steps of the stage rootfs call, which runs here and not in the node.
    inst_multiple sh mount umount e2fsck blkid udevadm systemctl modprobe \
        cat chmod chown cp cut date dirname basename echo env false grep head id ln ls mkdir mktemp mv printf pwd readlink rm rmdir \
        sed sleep sort stat sync tail tee test touch tr true uname uniq wc
    # The shell's own `[`, and any one awk; what arranges and grows partitions.
    inst_multiple -o awk bash e2label hostname losetup mke2fs mkfs.ext4 resize2fs sfdisk

    # By which root=LABEL=… leads to the image that the boot loader named.
    inst_rules 61-kairos-boot.rules

    # The image's word that breakpoints count on a locked console, for the stages in here.
    [[ ! -e $dracutsysrootdir/etc/kairos-boot/breakpoints ]] || inst_simple /etc/kairos-boot/breakpoints

    local unit
    for unit in kairos-boot-image.service kairos-boot-initrd.service; do
        inst_simple "$moddir/$unit" "$systemdsystemunitdir/$unit"
        $SYSTEMCTL -q --root "$initdir" add-wants initrd.target "$unit"
    done
    inst_script "$moddir/live-generator" "$systemdutildir/system-generators/kairos-boot-live-generator"
    inst_hook cmdline 30 "$moddir/live.sh"
    inst_hook emergency 00 "$moddir/fatal.sh"
    inst_hook shutdown-emergency 00 "$moddir/fatal.sh"
    inst_simple "$moddir/initrd-cleanup.conf" "$systemdsystemunitdir/initrd-cleanup.service.d/50-kairos-boot.conf"
    inst_simple "$moddir/fsck-root.conf" "$systemdsystemunitdir/systemd-fsck-root.service.d/50-kairos-boot.conf"
    inst_simple "$moddir/modules-load.conf" /usr/lib/modules-load.d/kairos-boot.conf
}
