"""Bundles: container images that are unpacked over a directory of the node, or bring a script that is run (docs/extensions.md).

At the installation they are brought onto the partitions of the new node; at the first boot (`first_boot`) onto the running one.
"""

from __future__ import annotations

import os
from hashlib import sha256

from kairos_boot.actions.images import UnpackImage
from kairos_boot.boot.root import dashed
from kairos_boot.errors import Explained, KairosError
from kairos_boot.lifecycle.phases import Phase
from kairos_boot.lifecycle.sources import reference
from kairos_boot.node.settings import listing, mapping
from kairos_boot.records import record
from kairos_boot.shown import shown
from kairos_boot.system import mounts
from kairos_boot.system.atomic import write_file
from kairos_boot.system.private import private_directory
from kairos_boot.system.scratch import Scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.actions.base import Action
    from kairos_boot.system.host import Host

RECORDS = "/usr/local/.kairos/bundles"
VIEW = "/run/kairos-boot/bundle"
"""What a bundle is unpacked over at the installation: the directories that the new node keeps, and nothing of the machine that installs."""
KEPT = ("/var/lib/extensions", "/var/lib/confexts", "/var/lib/kairos", "/var/lib/k0s", "/var/lib/rancher", "/opt")
"""Directories of a node, besides /usr/local and /oem, that lie on the persistent partition, and that programs are brought into."""
EXTRACT, RUN = "extract", "run"
SCHEMES = {"container": EXTRACT, "docker": EXTRACT, "run": RUN}
HINT = "write container://REGISTRY/IMAGE:TAG to unpack an image, run://REGISTRY/IMAGE:TAG to run its run.sh"
SECONDS, FETCH_SECONDS = 3600.0, 4 * 3600.0


@record
class Bundle:
    """One target: what becomes of the image *name*, which is over the directory *root*. *target* is what the document says."""

    target: str
    kind: str
    name: str
    root: str = "/"
    insecure: bool = False

    def __str__(self) -> str:
        """As it is written, without a login."""
        return shown(self.target)


def bundle(target: str, root: str = "", *, local: bool = False, insecure: bool = False) -> Bundle:
    """The bundle that *target* names; *local*: it is an archive on this machine. KairosError: it is none that can be had here."""
    scheme, colon, name = target.partition("://")
    if scheme in ("package", "luet") and colon:
        raise KairosError(f"packages of luet are not in this version: {shown(target)!r}", hint="bring their files as an image: container://REGISTRY/IMAGE:TAG")
    kind = SCHEMES.get(scheme.lower())
    if not colon or kind is None or not name:
        raise KairosError(f"not a bundle: {shown(target)!r}", hint=HINT)
    root = root or "/"
    if not root.startswith("/") or ".." in root.split("/") or "\0" in root:
        raise KairosError(f"not an absolute path: {root!r}", "rootfs_path", "write it like /usr/local")
    if local and not name.startswith("/"):
        raise KairosError(f"a local file has an absolute path, and {name!r} is none", shown(target), f"write it like {scheme}:///PATH")
    return Bundle(target, kind, name if local else reference(name), os.path.normpath(root), insecure)


def named(items: object, key: str, *, insecure: bool = False) -> tuple[list[Bundle], list[KairosError]]:
    """The bundles of a section *key*, and what is wrong with others: each costs only itself."""
    found: list[Bundle] = []
    faults: list[KairosError] = []
    for at, item in enumerate(listing(items)):
        for number, target in enumerate(listing(mapping(item).get("targets"))):
            try:
                found.append(bundle(str(target), str(mapping(item).get("rootfs_path") or ""), local=mapping(item).get("local_file") is True, insecure=insecure))
            except KairosError as error:
                faults.append(KairosError(error.message, f"{key}[{at}].targets[{number}]", error.hint))
        if not listing(mapping(item).get("targets")):
            faults.append(KairosError("a bundle without targets", f"{key}[{at}]", HINT))
    return found, faults


@record
class BringBundle:
    """Bring *bundle* onto the running system."""

    bundle: Bundle

    def describe(self) -> str:
        """The image, and what becomes of it."""
        return f"unpack {self.bundle} over {self.bundle.root}" if self.bundle.kind == EXTRACT else f"run run.sh of {self.bundle}"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """Only fetching tells."""
        return None

    def apply(self, host: Host) -> bool:
        """Unpack, and run. KairosError: it cannot be had, is damaged, or its script fails."""
        if self.bundle.kind == EXTRACT:
            return _unpack(host, self.bundle, self.bundle.root)
        with Explained("there is no place for what is unpacked", hint="name one with TMPDIR"), Scratch(host, "bundle") as scratch:
            _unpack(host, self.bundle, f"{scratch.path}/image")
            return _run(host, self.bundle, f"{scratch.path}/image")


def _unpack(host: Host, bundle: Bundle, target: str) -> bool:
    return UnpackImage(bundle.name, target, "", FETCH_SECONDS, 2, "", keep=True, insecure=bundle.insecure).apply(host)


def _run(host: Host, bundle: Bundle, directory: str) -> bool:
    script = f"{directory}/run.sh"
    if not host.exists(script):
        raise KairosError("there is no run.sh in the top directory of the image", str(bundle), "name it with container:// to unpack it")
    result = host.processes.run((script,), timeout=SECONDS, env={"CONTAINERDIR": directory, "BUNDLE_TARGET": bundle.name})
    if result.code or result.timed_out:
        raise KairosError(f"its run.sh failed: {result.explain(SECONDS)}: {result.output.strip()[-400:]}", str(bundle))
    return True


@record
class BringOnce:
    """The same, unless it was done on this node already."""

    bundle: Bundle

    @property
    def path(self) -> str:
        """What is there when it was done."""
        return f"{RECORDS}/{sha256(f'{self.bundle.target} {self.bundle.root}'.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"

    def describe(self) -> str:
        """The image, and what becomes of it."""
        return BringBundle(self.bundle).describe()

    def would_change(self, host: Host) -> bool | None:
        """Nothing where it was done."""
        return False if host.exists(self.path) else None

    def apply(self, host: Host) -> bool:
        """Bring it, and note that. KairosError: see `BringBundle`; it is tried again in the next boot."""
        if host.exists(self.path):
            return False
        BringBundle(self.bundle).apply(host)
        with Explained("it cannot be noted that it was done", self.path):
            write_file(host.path(self.path), f"{self.bundle}\n".encode("utf-8", "surrogateescape"), 0o600)
        return True


@record
class BringToNewNode:
    """Bring *bundle* onto the mounted partitions of a node that is being installed: *places* are directories of it, and where they lie.

    *offline*: this machine is not the node's, so no script runs on it.
    """

    bundle: Bundle
    places: tuple[tuple[str, str], ...]
    offline: bool = False

    def describe(self) -> str:
        """The image, and what becomes of it."""
        if self.offline and self.bundle.kind == RUN:
            return f"leave out {self.bundle}, and fail for it: no script of a bundle runs on a machine that builds images"
        return f"{BringBundle(self.bundle).describe()} of the new node" if self.bundle.kind == EXTRACT else BringBundle(self.bundle).describe()

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """The node is new."""
        return True

    def apply(self, host: Host) -> bool:
        """Bring it. KairosError: it cannot be had, or some of it lies where the node keeps nothing; the rest of it is there."""
        run = self.bundle.kind == RUN
        if run and self.offline:
            raise KairosError("no script of a bundle runs on a machine that builds images", str(self.bundle), "let the first boot run it: bundles at the root of the document")
        before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = f"{self.places[0][1]}/tmp"  # room, and not in memory (G7)
        try:
            if run:
                with _Bound(host, self.places, ""):
                    return BringBundle(self.bundle).apply(host)
            with _Bound(host, self.places, VIEW) as view:
                _unpack(host, self.bundle, f"{VIEW}{self.bundle.root}".rstrip("/"))
                lost = view.elsewhere()
        finally:
            os.environ.pop("TMPDIR")
            if before is not None:
                os.environ["TMPDIR"] = before
        if lost:
            raise KairosError(f"{len(lost)} files of it lie where the node keeps nothing, such as {lost[0]}", str(self.bundle),
                              f"rootfs_path names one of {', '.join(path for path, _ in self.places)}, or install.bind_mounts makes a directory lasting")
        return True


class _Bound:
    """The directories of a new node at their paths below *top*, else below the running system's root; a *top* is in memory and goes with it."""

    def __init__(self, host: Host, places: Sequence[tuple[str, str]], top: str) -> None:
        self.host, self.places, self.top = host, places, top
        self._mounted: list[str] = []

    def __enter__(self) -> _Bound:
        """Mount them. KairosError: the kernel refuses."""
        try:
            with Explained("the directories of the new node cannot be mounted"):
                if self.top:
                    private_directory(os.path.dirname(self.top))
                    private_directory(self.top)
                    self._mount("tmpfs", self.top, "tmpfs", 0)
                for path, source in self.places:
                    if self.top or self.host.is_directory(path):
                        os.makedirs(source, 0o755, exist_ok=True)
                        os.makedirs(f"{self.top}{path}", 0o755, exist_ok=True)
                        self._mount(source, f"{self.top}{path}", "", mounts.BIND)
        except BaseException:
            self._free()
            raise
        return self

    def _mount(self, source: str, target: str, fstype: str, flags: int) -> None:
        mounts.mount(source, target, fstype, flags=flags)
        self._mounted.append(target)

    def elsewhere(self) -> list[str]:
        """The files that lie in none of the directories."""
        device, found = os.stat(self.top).st_dev, []
        for folder, folders, files in os.walk(self.top):
            links = [name for name in folders if os.path.islink(f"{folder}/{name}")]
            folders[:] = [name for name in folders if os.lstat(f"{folder}/{name}").st_dev == device]
            found += [f"{folder}/{name}".removeprefix(self.top) for name in (*files, *links)]
        return sorted(found)

    def __exit__(self, *_: object) -> None:
        """Nothing stays mounted, and no empty directory."""
        self._free()
        for place in self.places[2:]:
            try:
                os.rmdir(place[1])
            except OSError:
                continue  # something is in it now

    def _free(self) -> None:
        while self._mounted:
            mounts.unmount(self._mounted.pop(), detach=True)


def places(persistent: str, oem: str, binds: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The directories that a new node keeps, *binds* (`bind_mounts`) among them, and where they lie while its partitions are mounted at *persistent* and *oem*."""
    kept = [path for path in dict.fromkeys((*KEPT, *(os.path.normpath(path) for path in binds))) if not f"{path}/".startswith("/usr/local/")]
    return (("/usr/local", persistent), ("/oem", oem), *((path, f"{persistent}/.state/{dashed(path)}.bind") for path in kept))


def phases(actions: Sequence[Action], *, strict: bool, again: str) -> list[Phase]:
    """A phase for each; with *strict* one that fails ends it all."""
    return [Phase(f"bundle-{number}", f"bring bundle {number} of {len(actions)}", (action,), again=again, extra=not strict) for number, action in enumerate(actions, 1)]
