"""A network of the test's own in which one server plays every cloud: addresses, names and pages as the providers document them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kairos_boot.records import NOTHING, record

CLONE_NEWNET = 0x40000000
LINK_LOCAL, SCALEWAY, WIRE = "169.254.169.254", "169.254.42.42", "168.63.129.16"
NAMES = ("metadata.google.internal", "metaldata", "metadata.platformequinix.com")


class Network:
    """A network namespace for this thread and those it starts; `close` goes back."""

    def __init__(self) -> None:
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._libc = ctypes.CDLL(None, use_errno=True)
        if self._libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network namespace")

    def ip(self, words: str) -> None:
        """Run `ip`."""
        subprocess.run(["ip", *words.split()], check=True, capture_output=True)

    def close(self) -> None:
        """Leave it; the kernel takes it away."""
        assert self._libc.setns(self._home, CLONE_NEWNET) == 0
        os.close(self._home)


def nameservers() -> list[str]:
    """Whom the resolver of this machine asks: in our network that is us."""
    lines = Path("/etc/resolv.conf").read_text(encoding="ascii").splitlines() if Path("/etc/resolv.conf").exists() else []
    return [line.split()[1] for line in lines if line.startswith("nameserver ") and ":" not in line] or ["127.0.0.1"]


@record
class Page:
    """What the server gives at an address to who sends *needs*; *status* 0 never answers."""

    body: bytes = b""
    status: int = 200
    needs: Mapping[str, str] = NOTHING
    delay: float = 0.0
    privileged: bool = False


class Cloud:
    """Serves `pages`: `METHOD HOST PATH` (GET if none is written) to a Page or a body; keeps requests, their headers and bodies."""

    def __init__(self) -> None:
        self.pages: dict[str, Page | bytes] = {}
        self.otherwise = Page(b"no such page", 404)
        """What it gives at every other address."""
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.stop = threading.Event()
        self._servers: list[ThreadingHTTPServer] = []
        self._names: list[tuple[socket.socket, threading.Thread]] = []
        self.silent_names = False
        self.serve(80)
        for address in nameservers():
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            link.bind((address, 53))
            thread = threading.Thread(target=self._resolve, args=(link,), daemon=True)
            thread.start()
            self._names.append((link, thread))

    def serve(self, port: int, certificate: tuple[str, str] | None = None) -> None:
        """Listen on all addresses at *port*, with TLS where there is a certificate and its key."""
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                cloud.answer(self)

            do_GET = do_PUT = do_POST = answer  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        server = ThreadingHTTPServer(("0.0.0.0", port), Handler)
        server.daemon_threads = True
        if certificate:
            import ssl

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        host = (handler.headers.get("Host") or "").partition(":")[0]
        key = f"{host}{handler.path}"
        self.requests.append(f"{handler.command} {key}")
        self.headers.append(dict(handler.headers.items()))
        self.bodies.append(handler.rfile.read(int(handler.headers.get("Content-Length") or 0)))
        page = self.pages.get(f"{handler.command} {key}" if handler.command != "GET" else key, self.otherwise)
        page = page if isinstance(page, Page) else Page(page)
        wrong = any(handler.headers.get(name) != value for name, value in page.needs.items())
        if page.privileged and handler.client_address[1] > 1024:
            wrong = True
        self.stop.wait(3600 if page.status == 0 else page.delay)
        if page.status == 0:
            return
        handler.send_response(403 if wrong else page.status)
        body = b"not for you" if wrong else page.body
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        try:
            handler.wfile.write(body)
        except OSError:
            pass

    def give(self, base: str, pages: Mapping[str, bytes | str], wrap: Callable[[bytes], Page] = Page) -> None:
        """Add *pages* below *base*."""
        for path, body in pages.items():
            self.pages[base + path] = wrap(body if isinstance(body, bytes) else body.encode())

    def _resolve(self, link: socket.socket) -> None:
        """Answer name queries: our names are here, others nowhere."""
        while True:
            query, peer = link.recvfrom(512)
            if not query:  # from `close`
                return
            if self.silent_names:
                continue
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            kind = struct.unpack(">H", query[at + 1:at + 3])[0]
            known = ".".join(labels) in NAMES
            address = b"\xc0\x0c" + struct.pack(">HHIH4s", 1, 1, 60, 4, socket.inet_aton(LINK_LOCAL)) if known and kind == 1 else b""
            head = query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, 1 if address else 0, 0, 0)
            with contextlib.suppress(OSError):  # who asked does not listen any more
                link.sendto(head + query[12:at + 5] + address, peer)

    def close(self) -> None:
        """End everything, waiting answers, too."""
        self.stop.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for link, thread in self._names:  # closed under a thread that reads it, its number would be that of somebody else's socket
            link.sendto(b"", link.getsockname())
            thread.join(60)
            link.close()
