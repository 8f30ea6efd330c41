"""What the examples of the reference pages find on their machine: servers, programs, repositories, disks."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.isolated import Isolated

NAMES = ("files.example.com", "git.example.com", "github.com", "keys.example.com")
"""Servers that the examples name; all are the machine itself."""
DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
SERVER = """
import functools, http.server, ssl
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/opt/www")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/run/server.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"""
SYSTEMCTL = """#!/bin/sh
case $1 in
    is-active) shift; for unit; do test "$unit" = --quiet || test -e "/run/started.$unit" || exit 3; done ;;
    start) echo "systemctl $*" >>/run/called
        test -e "/usr/lib/systemd/system/$2" || { echo "Failed to start $2: Unit $2 not found."; exit 5; }; : >"/run/started.$2" ;;
    daemon-reload) echo "systemctl $*" >>/run/called ;;
    *) SYSTEMD_OFFLINE=1 exec /usr/bin/systemctl.real "$@" ;;
esac
"""
MODPROBE = """#!/bin/sh
echo "modprobe $*" >>/run/called
test "$2" = nosuch && { echo "modprobe: FATAL: Module nosuch not found in directory /lib/modules/6.1.0"; exit 1; }
mkdir "/sys/module/$2"
test ! -e /proc/modules || echo "$2 16384 0 - Live 0x0000000000000000" >>/run/modules
"""
APT = """#!/bin/sh
echo "apt-get $*" >>/run/called
eval last=\\${$#}
case "$*" in
    *nosuch*) echo "E: Unable to locate package nosuch"; exit 100 ;;
    *install*) touch "/opt/installed.$last" ;;
    *remove*) rm "/opt/installed.$last" ;;
esac
"""
DPKG_QUERY = """#!/bin/sh
shift 3
for name; do test -e "/opt/installed.$name" || { echo "dpkg-query: no packages found matching $name"; exit 1; }; echo installed; done
"""


def tell(machine: Isolated, *argv: str) -> str:
    """Run a program of the machine, which must succeed."""
    code, said = machine.run(*argv)
    assert code == 0, (argv, said)
    return said


@cache
def certificate() -> tuple[bytes, str]:
    """A key with a certificate for the servers, and the certificate's hash."""
    with tempfile.TemporaryDirectory() as folder:
        key, cert = Path(folder) / "key", Path(folder) / "cert"
        names = ",".join(f"DNS:{name}" for name in NAMES)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=docs", "-days", "2",
                        "-addext", f"subjectAltName={names}", "-keyout", key, "-out", cert], check=True, capture_output=True)
        digest = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", cert], check=True, capture_output=True, text=True).stdout.strip()
        return key.read_bytes() + cert.read_bytes(), digest


def serve(machine: Isolated) -> None:
    """The tree /opt/www over HTTPS, under every name of the examples, by a certificate that the machine trusts."""
    pem, digest = certificate()
    trusted = pem[pem.index(b"-----BEGIN CERT"):]
    machine.put("/run/server.pem", pem)
    machine.put(f"/etc/ssl/certs/{digest}.0", trusted)
    bundle = Path(f"{machine.root}/etc/ssl/certs/ca-certificates.crt")
    machine.put("/etc/ssl/certs/ca-certificates.crt", (bundle.read_bytes() if bundle.exists() else b"") + trusted)
    machine.put("/etc/hosts", machine.read("/etc/hosts") + "".join(f"127.0.0.1 {name}\n" for name in NAMES))
    machine.put("/opt/server.py", SERVER)
    process = machine.start("/usr/bin/python3", "-I", "/opt/server.py")
    assert process.stdout
    assert process.stdout.readline() == "ready\n"


def account(machine: Isolated, name: str, number: int) -> None:
    """An account with a home."""
    for file, line in (("passwd", f"{name}:x:{number}:{number}::/home/{name}:/bin/sh"), ("group", f"{name}:x:{number}:"), ("shadow", f"{name}:!:19000::::::")):
        machine.put(f"/etc/{file}", machine.read(f"/etc/{file}") + line + "\n", 0o640 if file == "shadow" else 0o644)
    tell(machine, "install", "-d", "-o", str(number), "-g", str(number), f"/home/{name}")


def _downloads(machine: Isolated) -> None:
    machine.put("/opt/www/agent-1.4", "the agent\n")
    serve(machine)


def _keys(machine: Isolated) -> None:
    machine.put("/opt/www/amy.keys", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGithubKey\n")
    account(machine, "amy", 1500)
    tell(machine, "useradd", "--system", "--home-dir", "/nonexistent", "robot")
    serve(machine)


def _planted(machine: Isolated) -> None:
    account(machine, "amy", 1500)
    tell(machine, "ln", "-s", "/etc/shadow", "/home/amy/planted")
    tell(machine, "chown", "-h", "1500:1500", "/home/amy/planted")


def _git(machine: Isolated) -> None:
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    machine.put("/opt/site/index.html", "<h1>Hello</h1>\n")
    tell(machine, *git, "init", "-q", "/opt/site")
    tell(machine, *git, "-C", "/opt/site", "add", ".")
    tell(machine, *git, "-C", "/opt/site", "commit", "-q", "-m", "First")
    tell(machine, *git, "clone", "-q", "--bare", "/opt/site", "/opt/www/site.git")
    tell(machine, *git, "-C", "/opt/www/site.git", "update-server-info")
    serve(machine)


def _systemctl(machine: Isolated) -> None:
    tell(machine, "mv", "/usr/bin/systemctl", "/usr/bin/systemctl.real")
    machine.put("/usr/bin/systemctl", SYSTEMCTL, 0o755)
    machine.put("/run/systemd/system/.here", "")
    for unit in ("agent.service", "backup.timer"):
        machine.put(f"/usr/lib/systemd/system/{unit}", "[Unit]\nDescription=demo\n[Install]\nWantedBy=multi-user.target\n")


def _modules(machine: Isolated) -> None:
    tell(machine, "mount", "-t", "tmpfs", "none", "/sys/module")
    machine.put("/run/modules", "")
    if Path("/proc/modules").exists():  # not on a kernel that has none
        tell(machine, "mount", "--bind", "/run/modules", "/proc/modules")
    machine.put("/usr/sbin/modprobe", MODPROBE, 0o755)


def _packages(machine: Isolated) -> None:
    machine.put("/usr/bin/apt-get", APT, 0o755)
    machine.put("/usr/bin/dpkg-query", DPKG_QUERY, 0o755)
    machine.put("/opt/installed.nano", "")


def _image(machine: Isolated) -> None:
    """An archive with an OCI image of one layer, as `skopeo copy` reads it."""
    script = """
set -e
mkdir -p /run/tree/bin /run/oci/blobs/sha256 && cd /run
echo '#!/bin/sh' >tree/bin/tool && chmod 755 tree/bin/tool
tar -C tree -cf layer.tar bin
put() { sum=$(sha256sum "$1" | cut -d' ' -f1); cp "$1" "oci/blobs/sha256/$sum"; }
put layer.tar; layer=$sum; lsize=$(stat -c %s layer.tar)
echo '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:'$layer'"]}}' >config
put config; config=$sum; csize=$(stat -c %s config)
type=application/vnd.oci.image
echo '{"schemaVersion":2,"mediaType":"'$type'.manifest.v1+json","config":{"mediaType":"'$type'.config.v1+json","digest":"sha256:'$config'","size":'$csize'},
"layers":[{"mediaType":"'$type'.layer.v1.tar","digest":"sha256:'$layer'","size":'$lsize'}]}' >manifest
put manifest
echo '{"imageLayoutVersion":"1.0.0"}' >oci/oci-layout
echo '{"schemaVersion":2,"manifests":[{"mediaType":"'$type'.manifest.v1+json","digest":"sha256:'$sum'","size":'$(stat -c %s manifest)'}]}' >oci/index.json
tar -C oci -cf /opt/tools.tar .
"""
    tell(machine, "sh", "-c", script)


def _hostname(machine: Isolated) -> None:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        machine.put(path, "3f1c0a5d9b7e4c2896d1e0f2a4b6c8da\n")
    machine.put("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")


def _sysctl(machine: Isolated) -> None:
    machine.put("/run/echo", "")


def _groups(machine: Isolated) -> None:
    for name in ("old", "games"):
        machine.run("groupdel", name)
    account(machine, "old", 1700)


def _disk(machine: Isolated) -> None:
    import blkid  # on a node it lies beside the program

    module = Path(blkid.__file__)
    if module.name.startswith("__init__"):
        for file in module.parent.iterdir():
            if file.is_file():
                machine.put(f"/run/lib/{module.parent.name}/{file.name}", file.read_bytes())
    else:
        machine.put(f"/run/lib/{module.name}", module.read_bytes())
    tell(machine, "truncate", "-s", "256M", "/srv/data.img")


def _timezone(machine: Isolated) -> None:
    for path in ("/etc/localtime", "/etc/locale.conf", "/etc/default/locale", "/etc/vconsole.conf"):
        tell(machine, "rm", "-f", path)


def _conditions(machine: Isolated) -> None:
    tell(machine, "hostname", "edge-7")
    machine.put("/etc/hostname", "edge-7\n")


def _userdata(machine: Isolated) -> None:
    machine.put("/opt/user-data", "#cloud-config\nhostname: edge-7\n")


SETUP: dict[str, Callable[[Isolated], None]] = {
    "downloads": _downloads, "files": _planted, "authorized_keys": _keys, "git": _git, "systemctl": _systemctl, "modules": _modules, "packages": _packages,
    "unpack_images": _image, "hostname": _hostname, "sysctl": _sysctl, "delete_entities": _groups, "layout": _disk,
    "systemd_firstboot": _timezone, "conditions": _conditions, "datasource": _userdata,
}
