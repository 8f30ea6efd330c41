"""Look for user data and metadata: media first, then every network provider at once (docs/reference/datasource.md)."""

from __future__ import annotations

import os
import stat

from kairos_boot.actions.base import Told, never, untold
from kairos_boot.actions.datasource_found import BUDGET, LIMIT, REQUEST_LIMIT, AbsentError, Deadline, Found, Session
from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _queue import SimpleQueue
    from collections.abc import Callable, Iterable, Sequence

    from kairos_boot.actions.files import WriteFile
    from kairos_boot.system.host import Host

CONFIG = "/run/config"
"""Where metadata goes, one value a file, and user data unless the step names another place."""
DEVICES = ("cdrom", "config-drive")
FILE = "file"
WEB = ("aws", "openstack", "vultr", "digitalocean", "metaldata")
CLOUDS = ("gcp", "azure", "packet", "scaleway", "hetzner")
PROVIDERS = (*DEVICES, FILE, *WEB, *CLOUDS, "maas", "vmware")
SERVICE, ANYWHERE = "169.254.169.254", "2000::1"
"""Where nearly every service is; an address of the public network of IPv6."""
NEEDS_NO_ROUTE = ("vmware", "maas")
"""The first is no network at all, the second has a server of its own, if any."""
ROUTE_LIMIT = 5.0
"""Seconds of the budget that a link which is being configured may take to bring a route."""
INITRD = "/etc/initrd-release"
TO_RUN, RAN = 0o600, 0o700


@record
class Answer(Told):
    """What a search came to, for the plan of what follows from it."""

    found: Found | None = None
    nobody: str = ""
    """Why nothing was found; nothing if something was."""
    faults: tuple[str, ...] = ()
    """Providers that are there and answer wrongly, each with its reason."""
    base: str = CONFIG
    """Where user data goes."""
    earlier: str = ""
    """A host name that an earlier run, or somebody else, left below /run/config."""
    has_hosts: bool = False
    in_initrd: bool = False


@record
class FindUserData:
    """Ask *providers* and tell what the best of them has: a medium before the network, the list's order among the rest.

    *path* is where the step stores user data, and what `file` reads; *budget* is in seconds, 0 is none.
    """

    providers: tuple[str, ...]
    path: str = ""
    budget: float = BUDGET
    retries: int = 0
    where: str = ""

    def describe(self) -> str:
        return f"look for user data: {', '.join(self.providers)}"

    would_change = untold

    def apply(self, host: Host) -> Answer:
        """Ask; the node stays as it is. That nobody has anything is no failure, one who answers wrongly is (B14)."""
        reasons: dict[str, KairosError] = {}
        found = self._find(host, Deadline(self.budget), reasons)
        asked = self.providers if not found or not found.userdata else self.providers[:self.providers.index(found.provider)]
        wrong = [name for name in asked if name in reasons and not isinstance(reasons[name], AbsentError)]
        faults = tuple([_together([(name, reasons[name].message)]) for name in wrong])
        if not found:
            absent = _together([(name, reasons[name].message) for name in self.providers if name in reasons and name not in wrong])
            return Answer(nobody=f"no metadata/userdata found{f' ({absent})' if absent else ''}", faults=faults)
        base = CONFIG if not self.path or _is_file(host, self.path) else self.path.rstrip("/") or "/"
        earlier = (host.read(f"{CONFIG}/hostname") or b"").decode("utf-8", "replace").strip()
        return Answer(note=f"found: {found.provider}", found=found, faults=faults, base=base, earlier=earlier,
                      has_hosts=host.exists("/etc/hosts"), in_initrd=host.root == "/" and host.exists(INITRD))

    def _find(self, host: Host, deadline: Deadline, reasons: dict[str, KairosError]) -> Found | None:
        finds = []
        for name in [name for name in self.providers if name in DEVICES]:
            found = self._device(host, name, deadline, reasons)
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
        asked = {found.provider: found for found in self._network(host, networked, deadline, reasons)} if networked else {}
        finds += [asked.get(name, file) for name in others]
        return next((found for found in finds if found.userdata), None) or next((found for found in finds if found), None)

    @staticmethod
    def _device(host: Host, name: str, deadline: Deadline, reasons: dict[str, KairosError]) -> Found:
        from kairos_boot.actions.datasource_discs import MEDIA, look

        try:
            return look(MEDIA[name], name, host, deadline)
        except KairosError as error:
            reasons[name] = error
            return Found(name)

    def _file(self, host: Host, found: Found, reasons: dict[str, KairosError]) -> None:
        if not self.path:
            reasons[FILE] = KairosError("needs the key path")
            return
        try:
            content = host.read(self.path) if _is_file(host, self.path) else None
        except OSError as error:
            reasons[FILE] = KairosError(f"{self.path}: {reason(error)}")
            return
        if not content:
            reasons[FILE] = AbsentError(f"no such file: {self.path}" if content is None else f"{self.path} is empty")
        elif len(content) > LIMIT:
            reasons[FILE] = KairosError(f"{self.path} is larger than {LIMIT} bytes")
        else:
            found.userdata = content

    def _network(self, host: Host, names: Sequence[str], deadline: Deadline, reasons: dict[str, KairosError]) -> Iterable[Found]:
        """Ask all at once and wait until the order of the list has decided, or the time is up."""
        from _queue import Empty, SimpleQueue  # `queue` and `threading` cost more than what they would add
        from _thread import start_new_thread

        session = Session(host, deadline, self.retries)
        session.has_route = _has_network(host, names, deadline)
        if not session.has_route:  # nothing of HTTP is loaded where nobody can be asked
            reasons.update({name: AbsentError("no network") for name in names if name not in NEEDS_NO_ROUTE})
            names = [name for name in names if name in NEEDS_NO_ROUTE]
        finds = {name: Found(name) for name in names}
        done: SimpleQueue[tuple[str, KairosError | None]] = SimpleQueue()
        for name, found in finds.items():
            # Nothing waits for these threads: looking a name up can take longer than any limit of ours.
            start_new_thread(_ask, (name, found, session, done))
        pending = list(names)
        while pending and not _decided(names, pending, finds):
            left = deadline.left()
            try:
                name, error = done.get(timeout=None if left == float("inf") else left)
            except Empty:
                break
            pending.remove(name)
            if error:
                reasons[name] = error
        copies = [found.copy() for found in finds.values()]
        if not deadline.left():
            for copy in copies:
                if copy.provider in pending:
                    reasons[copy.provider] = AbsentError(f"no answer within the {self.budget:g} s of all providers")
                    copy.notes += ["not all that it was asked came in time"] if copy else []
        return copies


@record
class ReportReady:
    """Tell a provider that waits for it that the node is set up. That it does not listen harms nothing here: it is told."""

    tell: Callable[[Session], None]
    provider: str
    where: str = ""

    def describe(self) -> str:
        return f"tell {self.provider} that the node is set up"

    would_change = never

    def apply(self, host: Host) -> Told:
        """Tell it; a note says why it does not listen."""
        try:
            self.tell(Session(host, Deadline(2 * REQUEST_LIMIT)))
        except KairosError as error:
            return Told(note=f"{self.provider} could not be told that the node is set up: {error.message}")
        return Told()


@record
class RunUserScript:
    """Keep the script that came as user data at *path*, for root alone, and run it; one that has run to its end is left alone.

    The mode of the file tells: it may be executed when it has. A run that failed or was cut off is repeated.
    """

    path: str
    content: bytes
    interpreter: tuple[str, ...]
    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        return f"keep the script of the user data as {self.path} ({len(self.content)} bytes) and run it once"

    def would_change(self, host: Host) -> bool | None:
        return self._file(RAN).would_change(host)

    def _file(self, mode: int) -> WriteFile:
        from kairos_boot.actions.files import Owner, WriteFile

        return WriteFile(self.path, self.content, mode, Owner(0, 0), 0o755, secret=True, where=self.where)

    def apply(self, host: Host) -> bool:
        """Keep it, then run it, through its interpreter since /run may be mounted noexec. KairosError: either fails."""
        from kairos_boot.actions.run import Run

        if not self.would_change(host):
            return False
        self._file(TO_RUN).apply(host)
        Run((*self.interpreter, self.path), timeout=self.timeout, where=self.where, title="the script of the user data").apply(host)
        return self._file(RAN).apply(host)


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


def _has_network(host: Host, names: Sequence[str], deadline: Deadline) -> bool:
    """Whether anybody can be reached, a link that is being configured waited for; a root directory elsewhere is asked for nothing."""
    if not host.online or all(name in NEEDS_NO_ROUTE for name in names):
        return True
    from kairos_boot.system.netlink import has_route, wait_for_route

    return wait_for_route(SERVICE, min(ROUTE_LIMIT, deadline.left())) or has_route(ANYWHERE)


def _ask(name: str, found: Found, session: Session, done: SimpleQueue[tuple[str, KairosError | None]]) -> None:
    """Ask one provider, and say when it is done and why it gave nothing."""
    error: KairosError | None = None
    try:
        _provider(name)(found, session)
        if not found:
            error = AbsentError("nothing")
    except KairosError as caught:
        error = caught
    except Exception as caught:  # noqa: BLE001 - a defect of ours costs this provider only
        error = KairosError(f"internal error: {type(caught).__name__}: {caught}")
    if error and found:
        (found.notes if isinstance(error, AbsentError) else found.faults).append(error.message)
        error = None
    done.put((name, error))


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
