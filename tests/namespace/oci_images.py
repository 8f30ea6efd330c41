"""A tree with everything that a file system can have, container images made of trees, and a registry that may misbehave."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from initrds import HALF, initrd  # type: ignore[import-not-found]  # noqa: F401  # beside this file

SYSTEM = {"boot/vmlinuz": "kernel", "boot/initrd": initrd(), "etc/os-release": "ID=test\n", "etc/cos/grub.cfg": "menu", "etc/cos/bootargs.cfg": "args", "sbin/init": "init",
          "usr/lib/kairos-boot/x": "", "usr/lib/udev/rules.d/61-kairos-boot.rules": ""}
ACL = bytes.fromhex("02000000" "01000700ffffffff" "02000500d2040000" "04000500ffffffff" "10000500ffffffff" "20000500ffffffff")
"""u::rwx u:1234:r-x g::r-x m::r-x o::r-x, as the kernel keeps it."""
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw+ep"""


def write(path: str, data: bytes = b"", mode: int = 0o644) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def tree(top: str) -> str:
    """A system with files of every kind."""
    for name, text in SYSTEM.items():
        write(f"{top}/{name}", text.encode())
    odd = f"{top}/srv/odd"
    os.makedirs(f"{odd}/{'d' * 250}/{'e' * 250}")
    os.symlink("usr/lib", f"{top}/lib")
    os.symlink("/etc/os-release", f"{odd}/absolute")
    os.symlink("nowhere/at/all", f"{odd}/dangling")
    os.symlink("x" * 900, f"{odd}/long")
    os.link(f"{top}/etc/os-release", f"{odd}/hard")
    os.link(f"{odd}/absolute", f"{odd}/hard-link-of-a-link", follow_symlinks=False)
    for raw in (b"new\nline", b"\xc3\xa4\xff", b"-n", b"a=b", b" ", b"back\\slash", b"f" * 255, b"star*"):
        with open(odd.encode() + b"/" + raw, "wb") as file:
            file.write(raw)
    os.mkfifo(f"{odd}/fifo", 0o622)
    os.mknod(f"{odd}/character", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mknod(f"{odd}/block", stat.S_IFBLK | 0o660, os.makedev(300, 70000))
    write(f"{odd}/capable", b"\x7fELF", 0o755)
    os.setxattr(f"{odd}/capable", "security.capability", CAPABILITY)
    for name in ("capable", "."):
        os.setxattr(f"{odd}/{name}", "system.posix_acl_access", ACL)
    os.setxattr(odd, "system.posix_acl_default", ACL)
    os.setxattr(f"{odd}/hard", "user.note", b"a\nb=c")
    os.setxattr(f"{odd}/hard", "trusted.binary", bytes(range(256)))
    os.setxattr(f"{odd}/absolute", "trusted.of-a-link", b"x", follow_symlinks=False)
    write(f"{odd}/set-id", b"#!/bin/sh\n")
    write(f"{odd}/locked", os.urandom(100_000))
    with open(f"{odd}/holes", "wb") as file:
        file.truncate(40 << 20)
        file.seek(20 << 20)
        file.write(b"middle")
    for name, owner, group in (("set-id", 0, 5), ("locked", 1000, 1001), ("dangling", 1000, 1001), ("fifo", 4_000_000_000, 4_000_000_001), ("character", 3, 4)):
        os.lchown(f"{odd}/{name}", owner, group)
    os.chmod(f"{odd}/set-id", 0o6755)
    os.chmod(f"{odd}/locked", 0)
    os.chmod(f"{odd}/{'d' * 250}", 0o1777)
    for name, time in (("dangling", 915159845_123456789), ("locked", 915159845_123456789), ("-n", -86400_000000000), ("fifo", 5_000000001), ("set-id", 4_102_444_800_000000000)):
        os.utime(f"{odd}/{name}", ns=(time, time), follow_symlinks=False)
    os.utime(odd, ns=(7_000000007, 7_000000007))
    os.utime(top, ns=(9_000000009, 9_000000009))
    return top


def seen(top: str) -> dict[str, list[Any]]:
    """Everything about every file below *top*; times of access, inodes and blocks aside."""
    found: dict[str, list[Any]] = {}
    inodes: dict[int, str] = {}
    for folder, folders, files in os.walk(os.fsencode(top)):
        for name in (b".", *folders, *files) if folder == os.fsencode(top) else (*folders, *files):
            path = os.path.normpath(os.path.join(folder, name))
            now = os.lstat(path)
            where = ascii(os.path.relpath(path, os.fsencode(top)))
            kind = stat.S_IFMT(now.st_mode)
            content = os.fsdecode(os.readlink(path)) if kind == stat.S_IFLNK else ""
            if kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
            attributes = sorted((key, os.getxattr(path, key, follow_symlinks=False).hex()) for key in os.listxattr(path, follow_symlinks=False))
            found[where] = [oct(now.st_mode), now.st_uid, now.st_gid, now.st_mtime_ns, 0 if kind == stat.S_IFDIR else now.st_nlink, now.st_rdev,
                            0 if kind == stat.S_IFDIR else now.st_size, ascii(content), attributes]
            inodes.setdefault(now.st_ino, where)
    return {where: found[where] for where in sorted(found)}


def layer(top: str, *, gz: bool = True) -> bytes:
    """*top* as a layer."""
    inodes: dict[int, str] = {}

    def whole(member: tarfile.TarInfo) -> tarfile.TarInfo:
        path = os.path.join(top, member.name)
        now = os.lstat(path)
        member.pax_headers = {"SCHILY.xattr." + key: os.getxattr(path, key, follow_symlinks=False).decode("utf-8", "surrogateescape")
                              for key in os.listxattr(path, follow_symlinks=False)}
        sign, time = ("-", -now.st_mtime_ns) if now.st_mtime_ns < 0 else ("", now.st_mtime_ns)
        member.pax_headers["mtime"] = f"{sign}{time // 10**9}.{time % 10**9:09}"
        if member.issym() and now.st_nlink > 1 and inodes.setdefault(now.st_ino, member.name) != member.name:  # tarfile knows no links of links
            member.type, member.linkname = tarfile.LNKTYPE, inodes[now.st_ino]
        return member

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        tar.add(top, ".", filter=whole)
    return gzip.compress(out.getvalue(), 1) if gz else out.getvalue()


def small(members: dict[str, object], *, gz: bool = True) -> bytes:
    """A layer of a few files: a name ending in / is a directory (a number: its mode), bytes are a file, a text is a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, what in members.items():
            member = tarfile.TarInfo(name.rstrip("/"))
            member.mode = 0o755 if name.endswith("/") else 0o644
            if name.endswith("/"):
                member.type, member.mode = tarfile.DIRTYPE, what if isinstance(what, int) and what else 0o755
            elif isinstance(what, str):
                member.type, member.linkname = tarfile.SYMTYPE, what
            elif isinstance(what, bytes):
                member.size = len(what)
            tar.addfile(member, io.BytesIO(what) if isinstance(what, bytes) else None)
    return gzip.compress(out.getvalue(), 1) if gz else out.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def image(*layers: bytes) -> dict[str, bytes]:
    """An image's blobs by their digests, and its manifest under the empty name."""
    plain = [gzip.decompress(one) if one.startswith(b"\x1f\x8b") else one for one in layers]
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in plain]}}).encode()
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                           "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
                           "layers": [{"mediaType": f"application/vnd.oci.image.layer.v1.tar{'+gzip' if one.startswith(bytes([31, 139])) else ''}", "digest": digest(one),
                                       "size": len(one)} for one in layers]}).encode()
    return {"": manifest, digest(manifest): manifest, digest(config): config, **{digest(one): one for one in layers}}


def archive(path: str, blobs: dict[str, bytes]) -> None:
    """The image as an OCI archive."""
    index = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(blobs[""]), "size": len(blobs[""])}]})
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": index.encode(), **{f"blobs/{name.replace(':', '/')}": data for name, data in blobs.items() if name}}
    _pack(path, files)


def saved(path: str, *layers: bytes) -> None:
    """The image as `docker save` wrote it."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in layers]}}).encode()
    name = f"{digest(config)[7:]}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["node:1"], "Layers": [f"{number}/layer.tar" for number in range(len(layers))]}]).encode()
    _pack(path, {name: config, "manifest.json": manifest, **{f"{number}/layer.tar": one for number, one in enumerate(layers)}})


def _pack(path: str, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


class Registry:
    """A registry on loopback with the image `node:1`. *cut*: how many bytes of each blob it sends at first; *wrong*: it sends other bytes."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        self.blobs, self.cut, self.wrong, self.login = blobs, 0, False, False
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                registry.answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.name = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def blobs_asked(self) -> list[str]:
        return [path.rpartition("/")[2] for path in self.asked if "/blobs/" in path]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "GET":
            self.asked.append(handler.path)
        name = handler.path.rpartition("/")[2]
        kind, data, status = "application/octet-stream", b"", 404
        if self.login:
            status, data = 401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
        elif handler.path == "/v2/":
            status = 200
        elif handler.path == "/v2/node/tags/list":
            status, data = 200, json.dumps({"name": "node", "tags": ["v1.2.0", "v1.10.0", "v1.3.0-rc1", "other"]}).encode()
        elif handler.path.startswith("/v2/node/manifests/") and (name == "1" or name in self.blobs):
            status, data, kind = 200, self.blobs[""] if name == "1" else self.blobs[name], "application/vnd.oci.image.manifest.v1+json"
        elif handler.path.startswith("/v2/node/blobs/") and name in self.blobs:
            status, data = 200, self.blobs[name]
        else:
            data = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
            kind = "application/json"
        if self.wrong and "/blobs/" in handler.path:
            data = data[::-1]
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        if status == 200 and "/manifests/" in handler.path:
            handler.send_header("Docker-Content-Digest", digest(data))
        if status == 401:
            handler.send_header("WWW-Authenticate", 'Basic realm="test"')
        handler.end_headers()
        if handler.command != "HEAD":
            try:
                cut = self.cut if "/blobs/" in handler.path and len(data) > self.cut > 0 else len(data)
                handler.wfile.write(data[:cut])
                if cut < len(data):
                    handler.close_connection = True
            except OSError:
                pass
