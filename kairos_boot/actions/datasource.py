"""Look for user data and metadata: media first, then every network provider at once (spec/modules.md 4.1)."""

from __future__ import annotations

import os
import stat

from kairos_boot.actions.datasource_found import LIMIT, NETWORK_BUDGET, REQUEST_LIMIT, Budget, Found, Session
from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from queue import SimpleQueue

    from kairos_boot.system.host import Host

CONFIG = "/run/config"
"""Where metadata goes, one value a file, and user data unless the step names another place."""
DEVICES = ("cdrom", "config-drive")
FILE = "file"
WEB = ("aws", "openstack", "vultr", "digitalocean", "metaldata")
CLOUDS = ("gcp", "azure", "packet", "scaleway", "hetzner")
PROVIDERS = (*DEVICES, FILE, *WEB, *CLOUDS, "maas", "vmware")
SERVICE = "169.254.169.254"
ROUTE_LIMIT = 5.0
"""Seconds of the budget that a link which is being configured may take to bring a route."""
INITRD = "/etc/initrd-release"


class Answer:
    """What a search came to, for who plans what follows from it."""

    __slots__ = ("base", "earlier", "found", "has_hosts", "in_initrd", "notes")

    def __init__(self) -> None:
        self.found: Found | None = None
        self.base = CONFIG
        """Where user data goes."""
        self.earlier = ""
        """A host name that an earlier run, or somebody else, left below /run/config."""
        self.has_hosts = self.in_initrd = False
        self.notes: list[str] = []


@record
class FindUserData:
    """Ask *providers* and put what the best of them has into *answer*: a medium before the network, the list's order among the rest.

    *path* is where the step stores user data, and what `file` reads; *budget* is in seconds, 0 is none.
    """

    providers: tuple[str, ...]
    answer: Answer
    path: str = ""
    budget: float = NETWORK_BUDGET
    retries: int = 0
    where: str = ""

    def describe(self) -> str:
        """Who is asked and, afterwards, who had something."""
        found = self.answer.found
        return f"look for user data: {', '.join(self.providers)}" + (f" (found: {found.provider})" if found else "")

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """Only asking tells."""
        return None

    def apply(self, host: Host) -> bool:
        """Ask; the node stays as it is. KairosError: nobody has anything."""
        reasons: dict[str, str] = {}
        found = self._find(host, reasons)
        if not found:
            said = _together([(name, reasons[name]) for name in self.providers if name in reasons])
            raise KairosError(f"no metadata/userdata found{f' ({said})' if said else ''}", self.where)
        answer = self.answer
        answer.found = found
        answer.base = CONFIG if not self.path or _is_file(host, self.path) else self.path.rstrip("/") or "/"
        answer.in_initrd = host.root == "/" and host.exists(INITRD)
        answer.has_hosts = host.exists("/etc/hosts")
        answer.earlier = (host.read(f"{CONFIG}/hostname") or b"").decode("utf-8", "replace").strip()
        return False

    def _find(self, host: Host, reasons: dict[str, str]) -> Found | None:
        finds = []
        for name in [name for name in self.providers if name in DEVICES]:
            found = self._device(host, name, reasons)
            if found.userdata:
                return found
            finds.append(found)
        others = [name for name in self.providers if name not in DEVICES]
        file = Found(FILE)
        if FILE in others:
            self._file(host, file, reasons)
            if file.userdata:
                others = others[:others.index(FILE) + 1]  # nobody behind it can win
        networked = [name for name in others if name != FILE]
        asked = {found.provider: found for found in self._network(host, networked, reasons)} if networked else {}
        finds += [asked.get(name, file) for name in others]
        return next((found for found in finds if found.userdata), None) or next((found for found in finds if found), None)

    @staticmethod
    def _device(host: Host, name: str, reasons: dict[str, str]) -> Found:
        from kairos_boot.actions.datasource_discs import MEDIA, look

        try:
            return look(MEDIA[name], name, host)
        except KairosError as error:
            reasons[name] = error.message
            return Found(name)

    def _file(self, host: Host, found: Found, reasons: dict[str, str]) -> None:
        if not self.path:
            reasons[FILE] = "needs the key path"
            return
        try:
            content = host.read(self.path) if _is_file(host, self.path) else None
        except OSError as error:
            reasons[FILE] = reason(error)
            return
        if not content:
            reasons[FILE] = f"no such file: {self.path}" if content is None else f"{self.path} is empty"
        elif len(content) > LIMIT:
            reasons[FILE] = f"{self.path} is larger than {LIMIT} bytes"
        else:
            found.userdata = content

    def _network(self, host: Host, names: Sequence[str], reasons: dict[str, str]) -> list[Found]:
        """Ask all at once and wait until the order of the list has decided, or the time is up."""
        from queue import Empty, SimpleQueue
        from threading import Thread

        from kairos_boot.system.netlink import wait_for_route

        budget = Budget(self.budget)
        if host.online and any(name != "vmware" for name in names):
            wait_for_route(SERVICE, min(ROUTE_LIMIT, budget.left()))
        session = Session(host, budget, self.retries)
        finds = {name: Found(name) for name in names}
        done: SimpleQueue[tuple[str, str]] = SimpleQueue()
        for name, found in finds.items():
            # A daemon: looking a name up can take longer than any limit of ours, and must not hold up the end of the program.
            Thread(target=_ask, args=(name, found, session, done), name=name, daemon=True).start()
        pending = list(names)
        while pending and not _decided(names, pending, finds):
            left = budget.left()
            try:
                name, text = done.get(timeout=None if left == float("inf") else left)
            except Empty:
                break
            pending.remove(name)
            if text:
                reasons[name] = text
        copies = [found.copy() for found in finds.values()]
        if not budget.left():
            for copy in copies:
                if copy.provider in pending:
                    reasons[copy.provider] = f"no answer within the {self.budget:g} s of all providers"
                    copy.notes += ["not all that it was asked came in time"] if copy else []
        return copies


@record
class ReportReady:
    """Tell a provider that waits for it that the node is set up. That it does not listen harms nothing here: it is noted."""

    answer: Answer
    tell: Callable[[Session], None]
    provider: str
    where: str = ""

    def describe(self) -> str:
        """Whom."""
        return f"tell {self.provider} that the node is set up"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """The node stays as it is."""
        return False

    def apply(self, host: Host) -> bool:
        """Tell it."""
        try:
            self.tell(Session(host, Budget(2 * REQUEST_LIMIT)))
        except KairosError as error:
            self.answer.notes.append(f"{self.provider} could not be told that the node is set up: {error.message}")
        return False


@record
class RunUserScript:
    """Keep the script that came as user data at *path*, for root alone, and run it; one that is there already has run."""

    path: str
    content: bytes
    interpreter: tuple[str, ...]
    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        """The path and the size."""
        return f"keep the script of the user data as {self.path} ({len(self.content)} bytes) and run it once"

    def would_change(self, host: Host) -> bool | None:
        """Whether it is new."""
        return host.read(self.path) != self.content

    def apply(self, host: Host) -> bool:
        """Keep it, then run it, through its interpreter since /run may be mounted noexec. KairosError: either fails."""
        from kairos_boot.actions.files import Owner, WriteFile
        from kairos_boot.actions.run import Run

        new = self.would_change(host)
        changed = WriteFile(self.path, self.content, 0o700, Owner(0, 0), 0o755, secret=True, where=self.where).apply(host)
        if new:
            Run((*self.interpreter, self.path), timeout=self.timeout, where=self.where, title="the script of the user data").apply(host)
        return changed


def _together(reasons: Sequence[tuple[str, str]]) -> str:
    """Why each provider has nothing, those of one reason together; the address is left out, the name says it."""
    groups: dict[str, list[str]] = {}
    for name, text in reasons:
        groups.setdefault(text.partition(": ")[2] if text.startswith(("http:", "https:")) else text, []).append(name)
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in groups.items())


def _decided(names: Sequence[str], pending: Sequence[str], finds: dict[str, Found]) -> bool:
    """Whether the first provider with user data is known: all before it have ended without."""
    for name in names:
        if name in pending:
            return False
        if finds[name].userdata:
            return True
    return False


def _ask(name: str, found: Found, session: Session, done: SimpleQueue[tuple[str, str]]) -> None:
    """Ask one provider, and say when it is done and why it gave nothing."""
    text = ""
    try:
        _provider(name)(found, session)
        if not found:
            text = "nothing"
    except KairosError as error:
        text = error.message
    except Exception as error:  # noqa: BLE001 - a defect of ours costs this provider only
        text = f"internal error: {type(error).__name__}: {error}"
    if text and found:
        found.notes.append(text)
    done.put((name, text))


def _provider(name: str) -> Callable[[Found, Session], None]:
    if name in WEB:
        from kairos_boot.actions import datasource_web as web

        return lambda found, session: web.ask(web.SERVICES[name], found, session)
    path = f"kairos_boot.actions.datasource_{'clouds' if name in CLOUDS else name}"
    ask: Callable[[Found, Session], None] = getattr(__import__(path, fromlist=(name,)), name)
    return ask


def _is_file(host: Host, path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(host.path(path)).st_mode)
    except OSError:
        return False
