"""What a provider of user data is handed, and what it finds."""

from __future__ import annotations

import time

from kairos_boot.errors import KairosError
from kairos_boot.records import NOTHING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kairos_boot.system.host import Host

BUDGET = 10.0
"""Seconds that the search of a step may take, media and waiting for a route included; the step's `timeout` overrides it."""
REQUEST_LIMIT = 2.0
"""Seconds that one request may take."""
LIMIT = 16 * 1024 * 1024
"""Bytes of user data, packed or not."""
METADATA_LIMIT = 256 * 1024
"""Bytes of anything else that a service answers."""


KEY_TYPES = ("ssh-", "ecdsa-", "sk-")


class AbsentError(KairosError):
    """The provider is not here, which is no failure (B14). Any other error means that it is, and answers wrongly."""


class UnknownError(AbsentError):
    """Somebody answers who knows no such address: his *status* is below 500."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Found:
    """What one provider gave so far. A network provider fills it while others are asked, so each part counts as soon as it is there."""

    __slots__ = ("faults", "files", "hostname", "keys", "notes", "provider", "ready", "userdata")

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.userdata = b""
        self.hostname = ""
        self.keys: tuple[str, ...] = ()
        self.files: dict[str, bytes] = {}
        """What is kept below /run/config, by name."""
        self.notes: list[str] = []
        """What is worth a warning beside a find."""
        self.faults: list[str] = []
        """What the provider answers wrongly, which fails the step although the rest is used."""
        self.ready: Callable[[Session], None] | None = None
        """Tells the provider that the node is set up."""

    def __bool__(self) -> bool:
        return bool(self.userdata or self.hostname or self.keys or self.files)

    def take_hostname(self, raw: bytes) -> None:
        self.files["hostname"] = raw
        self.hostname = raw.decode("utf-8", "replace").strip()

    def take_keys(self, texts: list[str]) -> None:
        """Keep the ssh keys in *texts*, which hold one or, from some services, several lines each."""
        lines = [line.strip() for text in texts for line in text.splitlines()]
        lines = [line for line in lines if line and not line.startswith("#")]
        self.keys = tuple(dict.fromkeys(line for line in lines if any(word.startswith(KEY_TYPES) for word in line.split()[:-1])))
        if len(set(lines)) > len(self.keys):
            self.notes.append(f"{len(set(lines)) - len(self.keys)} of its lines are no ssh keys")

    def copy(self) -> Found:
        """What is there now, untouched by what still comes."""
        copy = Found(self.provider)
        copy.userdata, copy.hostname, copy.keys, copy.ready = self.userdata, self.hostname, self.keys, self.ready
        copy.files, copy.notes, copy.faults = dict(self.files), list(self.notes), list(self.faults)
        return copy


class Deadline:
    """The time that a search has; 0 s is no limit."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds if seconds else 0.0

    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - time.monotonic()) if self._end else float("inf")


class Session:
    """How a provider reaches the node and its metadata service. *retries* is so many more tries of a request."""

    def __init__(self, host: Host, deadline: Deadline, retries: int = 0) -> None:
        self.host, self.deadline, self.retries = host, deadline, retries
        self.has_route = True
        """Whether the node is in a network."""
        self._known: set[str] = set()

    def limit(self, longest: float = REQUEST_LIMIT) -> float:
        """Seconds that one request may take now. AbsentError: the time is up."""
        left = min(longest, self.deadline.left())
        if left <= 0:
            raise AbsentError("the time for all providers is over")
        return left

    def get(self, url: str, headers: Mapping[str, str] = NOTHING, *, size: int = METADATA_LIMIT, longest: float = REQUEST_LIMIT,
            method: str = "GET", body: bytes = b"", public: bool = False, privileged: bool = False) -> bytes:
        """The body at *url*; unless it is *public*, asked without a proxy. KairosError: as system.http.request.

        AbsentError: nobody gives an answer, or one who knows no such address (a status below 500).
        """
        from kairos_boot.system.http import RequestOptions, SilentError, StatusError, request

        self._resolve(url)
        try:
            return request(url, limit=size, timeout=self.limit(longest), tries=1 + self.retries, headers=headers,
                           options=RequestOptions(method, body, not public, privileged))[1]
        except SilentError as error:
            raise AbsentError(error.message) from None
        except StatusError as error:
            if error.status >= 500:
                raise
            raise UnknownError(error.message, error.status) from None

    def _resolve(self, url: str) -> None:
        """Look up the name in *url* once. KairosError: it takes longer than a request may, which the C library cannot be told."""
        from _queue import Empty, SimpleQueue
        from _thread import start_new_thread
        from urllib.parse import urlsplit

        name = urlsplit(url).hostname or ""
        if not name or name in self._known or ":" in name or name.replace(".", "").isdecimal():
            return
        done: SimpleQueue[str] = SimpleQueue()

        def look_up() -> None:
            from socket import SOCK_STREAM, getaddrinfo

            try:
                getaddrinfo(name, 80, 0, SOCK_STREAM)
            except (OSError, UnicodeError):  # the request itself will say it
                pass
            done.put(name)

        start_new_thread(look_up, ())
        try:
            self._known.add(done.get(timeout=self.limit()))
        except Empty:
            raise AbsentError(f"no answer to the name {name} within {REQUEST_LIMIT:g} s") from None

    def find(self, url: str, headers: Mapping[str, str] = NOTHING, *, size: int = METADATA_LIMIT, public: bool = False,
             privileged: bool = False) -> bytes:
        """Like `get`; nothing where the server says that there is no such thing. KairosError: the server does not answer."""
        try:
            return self.get(url, headers, size=size, public=public, privileged=privileged)
        except UnknownError as error:
            if error.status in (404, 410):
                return b""
            raise

    def userdata(self, found: Found, url: str, headers: Mapping[str, str] = NOTHING, *, privileged: bool = False, public: bool = False) -> None:
        """Fetch the user data at *url*; that it cannot be fetched is no reason to lose the rest."""
        try:
            found.userdata = self.find(url, headers, size=LIMIT, public=public, privileged=privileged)
        except KairosError as error:
            found.faults.append(f"the user data could not be fetched: {error.message}")

    def optional(self, found: Found, url: str, name: str, headers: Mapping[str, str] = NOTHING) -> str:
        """Fetch what a service may lack, keep it as *name* (if given) and return its text."""
        try:
            raw = self.find(url, headers)
        except KairosError as error:
            found.notes.append(error.message)
            return ""
        if name and raw.strip():
            found.files[name] = raw
        return raw.decode("utf-8", "replace")
