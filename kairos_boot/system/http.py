"""HTTP(S) for everybody: documents, keys, downloads (B4, B5, C4). Status and TLS are checked, time and size limited.

`http.client` is used directly: it takes half the start-up of `urllib.request`, and redirects, proxies and time limits are decided here.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from _thread import allocate_lock

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import NOTHING, record
from kairos_boot.shown import shown
from kairos_boot.system.urls import absolute, basic, origin, proxy_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from http.client import HTTPConnection, HTTPResponse
    from typing import Any, TypeVar

    T = TypeVar("T")

TIMEOUT, TRIES = 30.0, 3
"""Seconds a try may take, and how many there are (B4)."""
PAUSES = (1.0, 2.0)
"""Seconds before the second and the third try."""
SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes of an answer that is kept in memory."""
BLOCK = 64 * 1024
REDIRECTS = 10
SLOWEST = 1024
"""Bytes a second that a transfer without a time limit of its own must bring."""


ANYWHERE = ("range", "if-range")
"""Headers of a caller that go to another host, too, when the first one redirects there; any other may hold a secret."""
IMPORTING = allocate_lock()


class TransferError(Exception):
    """A try that another try may mend: the transport failed, or the server's *status* is 500 or more; *silent*: it gave no answer at all."""

    def __init__(self, message: str, status: int = 0, *, silent: bool = False) -> None:
        super().__init__(message)
        self.status, self.silent = status, silent


@record
class Answer:
    """The end of a successful request: the address it came to, and the headers by their lower-case names."""

    url: str
    headers: Mapping[str, str] = NOTHING


class StatusError(KairosError):
    """The server answered, with a *status* that is not 2xx."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class SilentError(KairosError):
    """Nobody is there: the address cannot be reached, or gives no answer in time."""


@record
class RequestOptions:
    """What a request to a metadata service does otherwise: *direct* goes through no proxy and is never redirected to another host,
    since what is asked there is meant for this node alone; *privileged* comes from a port below 1024, which proves root. *environment*
    names the proxies, where it is not that of this process.
    """

    method: str = "GET"
    body: bytes = b""
    direct: bool = False
    privileged: bool = False
    environment: Mapping[str, str] | None = None


DEFAULTS = RequestOptions()


class Clock:
    """The time of one try: *limit* seconds in all, 0 for none. Where the caller gave none, a transfer need only keep moving."""

    def __init__(self, limit: float, *, moving: bool = False, now: Callable[[], float] = time.monotonic) -> None:
        self.limit, self._moving, self._now = limit, moving, now
        self._end = now() + limit if limit else 0.0
        self._credit = 0
        self._began = False

    def left(self) -> float | None:
        """Seconds left, None for no limit. TransferError: there are none."""
        if not self._end:
            return None
        left = self._end - self._now()
        if left <= 0:
            raise TransferError(self.over(), silent=not self._began)
        return left

    def over(self) -> str:
        """What the end of the time means."""
        return f"less than {SLOWEST} bytes a second for {self.limit:g} s" if self._moving and self._began else f"no answer within {self.limit:g} s"

    def received(self, count: int) -> None:
        """*count* bytes came: a transfer that moves gets a new limit."""
        self._began = True
        self._credit += count
        if self._moving and self._end and self._credit >= SLOWEST * self.limit:
            self._end, self._credit = self._now() + self.limit, 0


class HttpRequest:
    """One request and its answer, redirects followed, the body unread. As a context it tells errors apart and closes."""

    def __init__(self, url: str, headers: Mapping[str, str], clock: Clock, options: RequestOptions = DEFAULTS) -> None:
        self.url, self.headers, self.clock, self.options = url, headers, clock, options
        self.answer = Answer(url)
        self.status = 0
        self._response: HTTPResponse
        self._connection: HTTPConnection | None = None

    def __enter__(self) -> HttpRequest:
        """Ask. KairosError: the status is below 500 and not 2xx, or another try is useless. TransferError: it may help."""
        try:
            self._follow()
            self._check()
        except Exception as error:
            self.__exit__(type(error), error)
            raise
        return self

    def _follow(self) -> None:
        start, authorization, headers = self.url, "", self.headers
        for _ in range(REDIRECTS + 1):
            self._connection, path, own = _connect(self.url, self.clock, self.options)
            authorization = own or authorization
            sent = {"User-Agent": "kairos-boot", "Accept-Encoding": "identity", **headers}
            if authorization:
                sent["Authorization"] = authorization
            self._connection.request(self.options.method, path, self.options.body or None, sent)
            self._response = self._connection.getresponse()
            self.status = self._response.status
            location = self._response.getheader("Location")
            if self.status not in (301, 302, 303, 307, 308) or not location:
                self.answer = Answer(self.url, {name.lower(): value for name, value in self._response.getheaders()})
                return
            self._connection.close()
            target = absolute(self.url, location)
            if origin(target) != origin(self.url):
                if self.options.direct:
                    raise KairosError(f"{shown(start)}: redirects to {shown(target)}, which is another host")
                authorization, headers = "", {name: value for name, value in headers.items() if name.lower() in ANYWHERE}
            self.url = target
        raise KairosError(f"{shown(start)}: more than {REDIRECTS} redirects")

    def _check(self) -> None:
        text = f"the server answered {self.status} {self._response.reason}".rstrip()
        if self.status >= 500:
            raise TransferError(text, self.status)
        if not 200 <= self.status < 300:
            raise StatusError(f"{shown(self.url)}: {text}", self.status)

    def blocks(self) -> Iterator[bytes]:
        """The body. TransferError: it ends before its announced end, or takes too long."""
        while data := self._response.read1(BLOCK):
            self.clock.received(len(data))
            yield data
        if self._response.length:
            raise TransferError(f"the answer ended {self._response.length} bytes too early")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        """Close the connection; turn what went wrong into a KairosError, or a TransferError where another try may help."""
        if self._connection:
            self._connection.close()
        if error is None or isinstance(error, (KairosError, TransferError)):
            return
        from http.client import HTTPException

        ssl = sys.modules.get("ssl")  # an initrd has none
        if ssl and isinstance(error, ssl.SSLCertVerificationError):
            raise KairosError(f"{shown(self.url)}: TLS: {error.verify_message}",
                              hint="its certificate must be signed by an authority that the node trusts") from None
        if isinstance(error, TimeoutError):
            raise TransferError(self.clock.over(), silent=not self.status) from None
        if isinstance(error, HTTPException):
            closed = isinstance(error, OSError)  # before a word was said
            raise TransferError(f"the answer is broken ({type(error).__name__})", silent=closed) from None
        if isinstance(error, DiskError):
            raise KairosError(f"{shown(self.url)}: {reason(error)}") from None
        if isinstance(error, OSError):
            raise TransferError(reason(error), silent=not self.status) from None
        if isinstance(error, ValueError):
            raise KairosError(f"{shown(self.url)}: not a usable address") from None


def fetch(url: str, *, limit: int = SIZE_LIMIT, timeout: float = TIMEOUT, tries: int = TRIES, headers: Mapping[str, str] = NOTHING,
          pause: Callable[[float], None] = time.sleep) -> bytes:
    """The body at *url*, at most *limit* bytes. *timeout* is in seconds for a whole try, 0 is none.

    KairosError: no http(s) address, no connection, TLS not verified, a status that is not 2xx, too large.
    """
    return request(url, limit=limit, timeout=timeout, tries=tries, headers=headers, pause=pause)[1]


def request(url: str, *, limit: int = SIZE_LIMIT, timeout: float = TIMEOUT, tries: int = TRIES, headers: Mapping[str, str] = NOTHING,
            pause: Callable[[float], None] = time.sleep, options: RequestOptions = DEFAULTS) -> tuple[Answer, bytes]:
    """Like `fetch`, with the answer's address and headers."""
    def once() -> tuple[Answer, bytes]:
        body = bytearray()
        with HttpRequest(url, headers, Clock(timeout), options) as http:
            for data in http.blocks():
                body += data
                if len(body) > limit:
                    raise KairosError(f"{shown(url)}: the answer is larger than {limit} bytes")
        return http.answer, bytes(body)

    return tried(url, once, tries, pause)


class DiskError(OSError):
    """The node's own disk, not the network."""


def tried(url: str, once: Callable[[], T], tries: int, pause: Callable[[float], None]) -> T:
    """What *once* gives, tried again where a TransferError says that it may help. KairosError: the last try failed, too."""
    for number in range(tries):
        try:
            return once()
        except TransferError as error:
            if number == tries - 1:
                text = f"{shown(url)}: {error}" + (f" ({tries} tries)" if tries > 1 else "")
                raise (StatusError(text, error.status) if error.status else SilentError(text) if error.silent else KairosError(text)) from None
            pause(PAUSES[min(number, len(PAUSES) - 1)])
    raise KairosError(f"{shown(url)}: no try was allowed")


def _connect(url: str, clock: Clock, options: RequestOptions) -> tuple[HTTPConnection, str, str]:
    """A connection towards *url*, the path to ask for, and the Authorization header of its user and password."""
    from urllib.parse import quote, urlsplit

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise KairosError(f"{shown(url)}: not an http or https address")
    host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    path = quote(parts.path or "/", safe="%/:=&~+!$,;'@()*") + (f"?{quote(parts.query, safe='%/:=&?~+!$,;@()*[]' + chr(39))}" if parts.query else "")
    secure = parts.scheme == "https"
    proxy = "" if options.direct else proxy_for(parts.scheme, host, port, options.environment)
    via = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else None
    if via and (via.scheme != "http" or not via.hostname):
        raise KairosError(f"{shown(url)}: the proxy {shown(proxy)} is not an http address")
    target = (via.hostname or "", via.port or 80) if via else (host, port)
    client = _http_client()
    connection: HTTPConnection = client.HTTPConnection(*target, timeout=clock.left())
    # Its own way to connect starts the time limit anew at each address, and its own reading at each byte.
    connection._create_connection = _dial(clock, privileged=options.privileged)  # type: ignore[attr-defined]  # noqa: SLF001
    connection.response_class = lambda sock, **options: client.HTTPResponse(_Timed(sock, clock), **options)  # type: ignore[assignment]
    if via:
        credentials = {"Proxy-Authorization": basic(via.username, via.password)} if via.username else {}
        if secure:
            connection.set_tunnel(host, port, credentials)
        else:
            literal = f"[{host}]" if ":" in host else host
            path = f"http://{literal}:{port}{path}"
    connection.connect()
    if secure:
        connection.default_port = 443
        connection.sock = _secure(connection.sock, host, shown(url))
    return connection, path, basic(parts.username, parts.password) if parts.username else ""


def _http_client() -> Any:
    """The module; it loads TLS, 4 MB and a third of its time, for a class of its own that is not used here, so it gets none."""
    with IMPORTING:
        known = "ssl" in sys.modules
        if not known:
            sys.modules["ssl"] = None  # type: ignore[assignment]
        try:
            import http.client
        finally:
            if not known:
                del sys.modules["ssl"]
    return http.client


def _secure(sock: Any, host: str, url: str) -> Any:
    """TLS over a connection, with the certificate verified. KairosError: there is none here."""
    with IMPORTING:
        try:
            from ssl import create_default_context
        except ImportError as error:
            raise KairosError(f"{url}: there is no TLS here", hint="an initrd has none; ask from stage network on") from error
    return create_default_context().wrap_socket(sock, server_hostname=host)


class _Timed:
    """A socket as an answer sees it: no read waits longer than the try may take."""

    def __init__(self, sock: Any, clock: Clock) -> None:
        self._sock, self._clock = sock, clock

    def makefile(self, mode: str) -> Any:  # noqa: ARG002
        import io

        sock, clock, raw = self._sock, self._clock, self._sock.makefile("rb", buffering=0)

        class Raw(io.RawIOBase):
            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any) -> int | None:
                sock.settimeout(clock.left())
                count: int | None = raw.readinto(buffer)
                return count

            def close(self) -> None:
                raw.close()
                super().close()

        return io.BufferedReader(Raw())


def _dial(clock: Clock, *, privileged: bool) -> Callable[..., Any]:
    def dial(address: tuple[str, int], *_: object) -> Any:
        import socket

        failure: OSError = OSError("no address")
        for family, kind, protocol, _name, place in socket.getaddrinfo(*address, 0, socket.SOCK_STREAM):
            link = socket.socket(family, kind, protocol)
            try:
                link.settimeout(clock.left())
                if privileged:
                    _bind_low(link)
                link.connect(place)
            except OSError as error:
                link.close()
                failure = error
            except BaseException:
                link.close()
                raise
            else:
                return link
        raise failure

    return dial


def _bind_low(link: Any) -> None:
    """Give the socket a free port below 1024."""
    for port in range(1023, 0, -1):
        try:
            link.bind(("", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
