"""What users paste from cloud-init's manual: every key is understood, or named as not supported; none is unknown, none stops the rest."""

from __future__ import annotations

import pytest

from kairos_boot.cloudconfig.decode import decode

DOCUMENTS: dict[str, tuple[str, set[str]]] = {
    "users and groups": ("""
groups: ["admingroup: [root, sys]", cloud-users]
""".replace('"admingroup: [root, sys]"', "{admingroup: [root, sys]}") + """
users:
- default
- {name: foobar, gecos: Foo B. Bar, primary_group: foobar, groups: users, selinux_user: staff_u, expiredate: '2032-09-01', lock_passwd: false, ssh_import_id: [lp:falcojr, gh:TheRealFalcon],
   passwd: $6$rounds=4096$abc, inactive: '5', system: true, create_groups: false}
- {name: barfoo, sudo: ALL=(ALL) NOPASSWD:ALL, groups: users, admin, ssh_authorized_keys: [ssh-rsa AAAA one]}
- {name: cloudy, doas: [permit nopass x], ssh_redirect_user: true}
- {name: fizzbuzz, sudo: false, shell: /bin/bash, uid: 1743, no_user_group: true, no_log_init: true, no_create_home: true, homedir: /srv/f}
- snapuser: joe@example.org
  name: joe
""".replace("groups: users, admin,", "groups: 'users, admin',"), {"users[0]", "selinux_user", "doas", "ssh_redirect_user", "snapuser"}),
    "files": ("""
write_files:
- {encoding: b64, content: CiMgVGhpcw==, owner: 'root:root', path: /etc/sysconfig/selinux, permissions: '0644'}
- content: |
    15 * * * * root ship_logs
  path: /etc/crontab
  append: true
- path: /usr/bin/hello
  permissions: '0755'
  encoding: gzip
  content: !!binary |
    H4sIAIDb/U8C/1NW1E/KzNMvzuBKTc7IV8hIzcnJVyjPL8pJ4QIA6N+MVxsAAAA=
- {path: /root/CLOUD_INIT_WAS_HERE}
- {path: /usr/bin/gitea, source: {uri: 'https://github.com/x', headers: {Authorization: Basic stuff}}, permissions: 0o755}
- {path: /etc/nginx/conf.d/x.conf, content: 'server {}', owner: 'nginx:nginx', permissions: '0640', defer: true}
""", {"headers"}),
    "commands": ("""
runcmd:
- [ls, -l, /]
- [sh, -xc, "echo $(date) ': hello world!'"]
- [sh, -c, echo "=========hello world'========="]
- ls -l /root
- mkdir /run/mydir
bootcmd:
- echo 192.168.1.130 us.archive.ubuntu.com > /etc/hosts
- [cloud-init-per, once, mymkfs, mkfs, /dev/vdb]
""", {"bootcmd[1]"}),
    "packages": ("""
package_update: true
package_upgrade: true
package_reboot_if_required: true
packages:
- pwgen
- [libpython3.8, 3.8.10-0ubuntu1~20.04.2]
- snap: [certbot, [juju, --edge]]
- apt: [mg]
""", {"package_reboot_if_required", "snap"}),
    "names": (("hostname: myhost\nfqdn: myhost.example.com\nprefer_fqdn_over_hostname: true\ncreate_hostname_file: true\npreserve_hostname: true\nmanage_etc_hosts: localhost\ntimezone: US/Eastern\n"
              "locale: en_US.utf8\nlocale_configfile: /etc/x\nkeyboard: {layout: us}\n"),
              {"create_hostname_file", "locale", "locale_configfile", "keyboard"}),
    "time": ("ntp:\n  enabled: true\n  ntp_client: chrony\n  pools: [0.int.pool.ntp.org]\n  servers: [ntp.server.local]\n  peers: [km001]\n  allow: [192.168.23.0/32]\n  config: {confpath: /x}\n",
             {"ntp_client", "peers", "allow", "config"}),
    "disks": ("""
device_aliases: {my_alias: /dev/sdb}
disk_setup:
  my_alias: {table_type: gpt, layout: [50, 50], overwrite: true}
  /dev/sdd: {table_type: mbr, layout: true, overwrite: true}
fs_setup:
- {label: fs1, filesystem: ext4, device: my_alias.1, cmd: mkfs -t %(filesystem)s -L %(label)s %(device)s}
- {label: fs3, filesystem: btrfs, device: '/dev/sdd', partition: auto}
growpart: {mode: auto, devices: [/], ignore_growroot_disabled: false}
resize_rootfs: noblock
mounts: [[/dev/ephemeral0, /mnt, auto, defaults, '0', '0']]
mount_default_fields: [~, ~, auto]
swap: {filename: /my/swapfile, size: auto}
""", {"device_aliases", "layout", "overwrite", "table_type", "cmd", "fs_setup", "resize_rootfs", "mounts", "mount_default_fields", "swap"}),
    "access": ("""
ssh_authorized_keys: [ssh-rsa AAAA mykey@host]
ssh_keys: {rsa_private: x}
ssh_deletekeys: true
ssh_genkeytypes: [rsa]
ssh_pwauth: true
ssh_import_id: [smoser]
disable_root: false
no_ssh_fingerprints: true
password: passw0rd
chpasswd: {expire: false, users: [{name: a, password: b, type: text}]}
allow_public_ssh_keys: true
""", {"ssh_keys", "ssh_deletekeys", "ssh_genkeytypes", "ssh_import_id", "no_ssh_fingerprints", "password", "allow_public_ssh_keys"}),
    "services": ("""
ca_certs: {remove_defaults: true, trusted: [x]}
apt: {primary: [{arches: [default], uri: http://x}]}
yum_repos: {epel: {baseurl: x}}
resolv_conf: {nameservers: [8.8.8.8]}
manage_resolv_conf: true
rsyslog: {remotes: {x: y}}
snap: {commands: [a]}
puppet: {conf: {}}
ansible: {install_method: pip}
wireguard: {interfaces: []}
final_message: up after $UPTIME
phone_home: {url: http://x}
power_state: {mode: poweroff, timeout: 30}
output: {all: '| tee -a /var/log/x'}
merge_how: dict(replace)+list(append)
vendor_data: {enabled: true}
network: {config: disabled}
random_seed: {file: /dev/urandom, data: x}
landscape: {client: {}}
byobu_by_default: system
datasource_list: [NoCloud]
""", {"apt", "yum_repos", "resolv_conf", "manage_resolv_conf", "rsyslog", "snap", "puppet", "ansible", "wireguard", "final_message", "phone_home", "power_state", "output", "merge_how",
      "vendor_data", "network", "random_seed", "landscape", "byobu_by_default", "datasource_list"}),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_pasted_document_works_or_says_what_does_not(name: str) -> None:
    text, unsupported = DOCUMENTS[name]
    document = decode(("#cloud-config\n" + text).encode(), "/d.yaml")
    assert [str(p) for p in document.problems if p.severity != "advice"] == []
    assert {p.where.split(": ")[1].rsplit(".", 1)[-1] if "[1]" not in p.where or "bootcmd" not in p.where else "bootcmd[1]" for p in document.problems} == unsupported
    assert all(document.steps(stage)[0].classic for stage in ("boot", "initramfs", "network"))
