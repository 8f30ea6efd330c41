"""Keys at the root of a document that this program or another reader of the same file knows (B8, B11)."""

from __future__ import annotations

SECTIONS = frozenset((
    "amt", "arch", "auto", "bind-pcrs", "bind-public-pcrs", "bundles", "cloud-init-paths", "cluster", "config_url", "cosign", "cosign-key",
    "debug", "eject-cd", "env", "fail_on_bundles_errors", "grub_options", "install", "k0s", "k0s-worker", "k3s", "k3s-agent", "kairos", "kcrypt",
    "kubevip", "localai", "logs", "metallb", "nodepair", "options", "p2p", "phonehome", "platform", "providers", "reset",
    "squash-compression", "squash-no-compression", "strict", "uki-max-entries", "upgrade", "users", "verify",
))
"""Sections of Kairos, its providers and its bundles."""

CLASSIC = frozenset((
    "bootcmd", "ca-certs", "ca_certs", "chpasswd", "disable_root", "disable_root_opts", "disk_setup", "fqdn", "fs_setup", "groups", "growpart", "hostname",
    "manage_etc_hosts", "milpa_files", "ntp", "package_update", "package_upgrade", "packages", "prefer_fqdn_over_hostname", "preserve_hostname", "runcmd",
    "ssh_authorized_keys", "ssh_pwauth", "timezone", "users", "write_files",
))
"""Keys that a #cloud-config document has besides, and others have not."""

ELSEWHERE = frozenset(("name",))
"""Keys of native documents that a #cloud-config document may have without effect."""

NOT_HERE: dict[str, str] = {
    "allow_public_ssh_keys": "", "ansible": "", "apt_mirror": "write the files by `write_files`", "apt_preserve_sources_list": "",
    "apt_proxy": "write the files by `write_files`", "apt_reboot_if_required": "", "apt_sources": "write the files by `write_files`",
    "apt_update": "write `package_update`", "apt_upgrade": "write `package_upgrade`", "authkey_hash": "", "apk_repos": "write the file by `write_files`", "apt": "write the files by `write_files`", "apt_pipelining": "", "autoinstall": "",
    "byobu_by_default": "", "chef": "",
    "cloud_config_modules": "", "cloud_final_modules": "", "cloud_init_modules": "", "create_hostname_file": "", "datasource": "use the step key `datasource`",
    "datasource_list": "use the step key `datasource`", "def_log_file": "",
    "device_aliases": "", "disable_ec2_metadata": "", "drivers": "", "emit_keys_to_console": "", "fan": "", "final_message": "",
    "keyboard": "", "landscape": "", "launch-index": "", "locale": "write /etc/locale.conf by `write_files`, or use the step key `systemd_firstboot`",
    "locale_configfile": "", "lxd": "", "manage_resolv_conf": "use the step key `dns`",
    "mcollective": "", "merge_how": "documents are never merged", "merge_type": "documents are never merged", "migrate": "",
    "mount_default_fields": "", "mounts": "use bind_mounts of `install`, VOLUMES of the layout, or a mount unit", "network": "write a file for networkd by `write_files`",
    "no_ssh_fingerprints": "", "output": "", "package_reboot_if_required": "", "password": "there is no default user: give it to one of `users`",
    "phone_home": "", "power_state": "reboot by a command", "puppet": "", "random_seed": "", "reporting": "", "resize_rootfs": "the root is an image",
    "resolv_conf": "use the step key `dns`", "rh_subscription": "", "rpi": "", "rsyslog": "write the file by `write_files`", "salt_minion": "", "seed_random": "",
    "snap": "", "snappy": "", "spacewalk": "", "ssh": "", "ssh_deletekeys": "", "ssh_fp_console_blacklist": "", "ssh_genkeytypes": "",
    "ssh_import_id": "there is no default user: give it to one of `users`", "ssh_key_console_blacklist": "", "ssh_keys": "write the keys by `write_files`",
    "ssh_publish_hostkeys": "", "ssh_quiet_keygen": "",
    "swap": "", "syslog_fix_perms": "", "system_info": "", "ubuntu_advantage": "", "ubuntu_pro": "", "updates": "", "user": "there is no default user: list it under `users`",
    "vendor_data": "", "version": "", "wireguard": "", "yum_repo_dir": "", "yum_repos": "write the files by `write_files`", "zypper": "",
}
"""Keys of cloud-init without a meaning here, and what to do instead."""


def needs_header(key: str) -> tuple[str, str]:
    """What is wrong with *key* in a document without the line #cloud-config, and what to do."""
    return f"{key!r} counts only in a document that begins with the line #cloud-config", "write that line at the top"
