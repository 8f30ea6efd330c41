#!/bin/bash
# Opens the encrypted partitions of a node before its root is laid out. Sourced by dracut.
# A module of its own: the initrd of a node without any does not grow.

# called by dracut
check() {
    require_binaries dmsetup "$systemdutildir/systemd-cryptsetup" || return 1
    # Only who asks for it (add_dracutmodules) gets it.
    return 255
}

# called by dracut
depends() {
    echo kairos-boot dm systemd-ask-password
}

# called by dracut
installkernel() {
    # The node's TPM is not that of the machine which builds images. LUKS reads its own keys by the kernel's ciphers (algif_skcipher).
    hostonly='' instmods dm_crypt algif_skcipher xts cbc ecb aes_generic aesni-intel sha256_generic tpm_tis tpm_crb =drivers/char/tpm
}

# called by dracut
install() {
    inst_multiple "$systemdutildir/systemd-cryptsetup" sh blkid sed udevadm
    # Opened by their names: what asks the TPM, and its link to the kernel's device.
    inst_libdir_file "libcryptsetup.so.*" "cryptsetup/libcryptsetup-token-systemd-tpm2.so" \
        "libtss2-esys.so.*" "libtss2-rc.so.*" "libtss2-mu.so.*" "libtss2-sys.so.*" "libtss2-tcti-device.so.*"
    compgen -G "$initdir/usr/lib*/**/libtss2-esys.so*" >/dev/null || compgen -G "$initdir/usr/lib*/libtss2-esys.so*" >/dev/null ||
        dwarning "kairos-boot-crypt: the libraries of the TPM (libtss2) are not in this image: each boot asks for the recovery key"
    inst_script "$moddir/unlock" /usr/lib/kairos-boot-crypt/unlock
    inst_simple "$moddir/kairos-boot-crypt.service" "$systemdsystemunitdir/kairos-boot-crypt.service"
    $SYSTEMCTL -q --root "$initdir" add-wants initrd.target kairos-boot-crypt.service
}
