"""A web server on the loopback interface whose answers a test writes down."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kairos_boot.records import NOTHING, record


@record
class Reply:
    """One answer: *cut* ends the connection after so many bytes of the body, *drip* is the seconds between its bytes."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = NOTHING
    cut: int | None = None
    drip: float = 0.0
    delay: float = 0.0
    ranges: bool = False
    """Answers a Range whose If-Range fits the ETag with the rest."""


class Web:
    """Serves `pages`: path -> answers in turn, the last one for ever; `requests` are the paths and headers that came."""

    def __init__(self, pages: Mapping[str, Reply | list[Reply]] = NOTHING) -> None:
        self.pages = dict(pages)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.stop = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                web.answer(self)

            def do_CONNECT(self) -> None:
                web.requests.append((f"CONNECT {self.path}", dict(self.headers.items())))
                self.send_error(403)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that goes away is what some tests are about

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def url(self, path: str = "/") -> str:
        """The address of *path*."""
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [path for path, _ in self.requests]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append((handler.path, headers))
        replies = self.pages.get(handler.path, Reply(b"no such page", 404))
        reply = (replies.pop(0) if len(replies) > 1 else replies[0]) if isinstance(replies, list) else replies
        self.stop.wait(reply.delay)
        body, status, more = reply.body, reply.status, dict(reply.headers)
        if reply.ranges and headers.get("range", "").startswith("bytes=") and headers.get("if-range") == more.get("ETag"):
            start = int(headers["range"][6:].rstrip("-"))
            more["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[start:]
        handler.send_response(status)
        more.setdefault("Content-Length", str(len(body)))
        for name, value in more.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        sent = body if reply.cut is None else body[:reply.cut]
        try:
            if reply.drip:
                for byte in sent:
                    handler.wfile.write(bytes([byte]))
                    handler.wfile.flush()
                    if self.stop.wait(reply.drip):
                        break
            else:
                handler.wfile.write(sent)
        except OSError:
            pass
        if reply.cut is not None or not more["Content-Length"]:
            handler.close_connection = True

    def close(self) -> None:
        """End it, waiting handlers, too."""
        self.stop.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(5)


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def stopwatch() -> float:
    """Seconds, for limits against hanging."""
    return time.monotonic()
