"""#cloud-config documents: the classic keys of cloud-init become steps (docs/compatibility.md, B8, B9, B11, B12).

The stages boot, initramfs and network each begin with one generated step, an empty one if need be, so that the names of
the steps do not depend on which keys are given. The steps under `stages:` follow; if those are wrong, only they are lost.
A key that is not supported here is named in a warning, and the rest works.
"""

from __future__ import annotations

from kairos_boot.cloudconfig.accounts import Accounts
from kairos_boot.cloudconfig.classic import ClassicReader, Draft, paths_of, quote
from kairos_boot.cloudconfig.classic_access import Access, flag
from kairos_boot.cloudconfig.classic_disks import Disks
from kairos_boot.cloudconfig.classic_files import Files
from kairos_boot.cloudconfig.model import Document
from kairos_boot.cloudconfig.native import decode_stages, jobs, reconcile
from kairos_boot.cloudconfig.nodes import MAPPING, SCALAR, SEQUENCE
from kairos_boot.cloudconfig.roots import CLASSIC, ELSEWHERE, NOT_HERE, SECTIONS
from kairos_boot.cloudconfig.scalars import is_null
from kairos_boot.cloudconfig.typed import Decoder, NestingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kairos_boot.cloudconfig.model import Problem
    from kairos_boot.cloudconfig.nodes import YamlNode

JINJA = b"##template:jinja"
PER = "cloud-init-per "
ZONES = "/usr/share/zoneinfo/"


def decode(root: YamlNode | None, source: str, data: bytes) -> Document:
    """The Document of a #cloud-config document whose root is *root* and whose text is *data*; its `name` is not used."""
    decoder, stages_decoder = Decoder(source), Decoder(source)
    document = _Classic(decoder, root)
    written: dict[str, tuple[Any, ...]] = {}
    overlap, again = 0, False
    try:
        for key, item in _root(decoder, root):
            if key.value == "stages":
                written = decode_stages(stages_decoder, item)
            elif key.value == "jobs":
                overlap = jobs(decoder, item)
            elif key.value == "reconcile":
                again = reconcile(decoder, item)
            elif not (item.kind is SCALAR and is_null(item)):
                document.take(key, item)
        document.finish()
    except NestingError:
        assert root is not None
        decoder.error(root, "", "aliases make far more values than the document has", "write the values out")
    except RecursionError:
        assert root is not None
        decoder.error(root, "", "merged maps are nested too deeply", "write the values out")
    problems = _sorted([*_jinja(decoder, data), *decoder.problems, *stages_decoder.problems], source)
    if decoder.broken:
        return Document(source, source, problems=problems, broken=True)
    stages = document.stages()
    for name, steps in ({} if stages_decoder.broken else written).items():
        stages[name] = (*stages.get(name, ()), *steps)
    return Document(source, source, stages, problems, overlap, reconcile=again)


def _root(decoder: Decoder, root: YamlNode | None) -> list[tuple[YamlNode, YamlNode]]:
    if root is None or (root.kind is SCALAR and is_null(root)):
        return []
    if root.kind is not MAPPING:
        decoder.error(root, "", f"a #cloud-config document is a map, not a {root.kind}", "write `key: value` lines")
        return []
    return decoder.pairs(root, "")


def _jinja(decoder: Decoder, data: bytes) -> list[Problem]:
    """A warning if the document asks for a template language that is not rendered (B12)."""
    from kairos_boot.cloudconfig.nodes import YamlNode

    for number, line in enumerate(data.split(b"\n", 9), 1):
        if not line.startswith(b"#"):
            break
        if line.translate(None, b" \t\r") == JINJA:
            probe = Decoder(decoder.source)
            probe.advise(YamlNode(SCALAR, "", number, 1), "", "the document is marked as a jinja template, and jinja is not rendered here",
                        "write the values out, or use {{ }} in the steps of `stages:`")
            return probe.problems
    return []


def _sorted(problems: list[Problem], source: str) -> tuple[Problem, ...]:
    """In the order of the lines."""
    def place(problem: Problem) -> tuple[int, ...]:
        numbers = problem.where.removeprefix(source + ":").split(": ", 1)[0].split(":")
        return tuple(int(n) for n in numbers) if all(n.isdigit() for n in numbers) else (0,)

    return tuple(sorted(problems, key=place))


class _Classic:
    """Turns classic keys, one after the other, into drafts of steps."""

    def __init__(self, decoder: Decoder, root: YamlNode | None) -> None:
        self.values = ClassicReader(decoder)
        self.before = Draft(root)
        self.boot, self.initramfs, self.network = Draft(root), Draft(root), Draft(root)
        self.accounts, self.disks, self.written = Accounts(self.values), Disks(self.values), Files(self.values)
        self.access = Access(self.values)
        self._of_disks: list[Draft] = []
        self._hostname = self._fqdn = ""
        self._prefer_fqdn = self._preserve = False
        self._hosts: YamlNode | None = None
        self._early: list[tuple[str, YamlNode]] = []
        self._commands: list[tuple[str, YamlNode]] = []
        self._files: list[tuple[dict[str, Any], YamlNode]] = []
        self._legacy_files: list[tuple[dict[str, Any], YamlNode]] = []
        self.readers: dict[str, Callable[[YamlNode], None]] = {
            "bootcmd": self._take_bootcmd, "chpasswd": self.access.chpasswd, "disable_root": self.access.disable_root,
            "disable_root_opts": self.access.disable_root_opts, "disk_setup": self.disks.disk_setup, "fqdn": self._take_fqdn,
            "fs_setup": self.disks.fs_setup, "groups": self.accounts.groups, "growpart": self.disks.growpart,
            "hostname": self._take_hostname, "manage_etc_hosts": self._take_manage_etc_hosts, "milpa_files": self._take_milpa_files,
            "ntp": self._take_ntp, "package_update": self._take_package_update, "package_upgrade": self._take_package_upgrade,
            "packages": self._take_packages, "prefer_fqdn_over_hostname": self._take_prefer_fqdn_over_hostname,
            "preserve_hostname": self._take_preserve_hostname, "runcmd": self._take_runcmd, "ssh_authorized_keys": self.accounts.keys,
            "ssh_pwauth": self.access.ssh_pwauth, "timezone": self._take_timezone, "users": self.accounts.users,
            "write_files": self._take_write_files, "ca_certs": lambda item: self.access.ca_certs(item, "ca_certs"),
            "ca-certs": lambda item: self.access.ca_certs(item, "ca-certs"),
        }
        """What reads each key of CLASSIC."""

    def take(self, key: YamlNode, item: YamlNode) -> None:
        name = key.value
        if name in CLASSIC:
            self.readers[name](item)
        elif name in NOT_HERE:
            self.values.advise(key, name, f"{name!r} of cloud-init is not supported here", NOT_HERE[name] or "use steps under `stages:` instead")
        elif name not in SECTIONS and name not in ELSEWHERE and not name.startswith("x-"):
            self.values.unknown(key, name, (*CLASSIC, *SECTIONS, "stages"))

    def finish(self) -> None:
        self._name()
        self.accounts.finish(self.boot, self.network, self.access)
        self.access.finish(self.boot)
        rules = self.accounts.rules()
        if rules:
            self.boot.put("sudoers", True)
            self.boot.mark("sudoers", rules[0][1])
        self.boot.items("files", [*self._files, *self._legacy_files, *rules])
        self._of_disks = self.disks.drafts()
        self.boot.items("commands", self._early + self._commands)
        self.network.items("downloads", self.written.fetched)
        self.network.items("fetched_files", self.written.mixed)

    def _name(self) -> None:
        hostname = self._fqdn if self._prefer_fqdn and self._fqdn else self._hostname or self._fqdn.partition(".")[0]
        if hostname and not self._preserve:
            self.initramfs.put("hostname", hostname)
        if self._hosts:
            names = {} if self._preserve else {"hostname": self._hostname or hostname, "fqdn": self._fqdn}
            self.initramfs.put("etc_hosts", {key: text for key, text in names.items() if text})
            self.initramfs.mark("etc_hosts", self._hosts)

    def stages(self) -> dict[str, tuple[dict[str, Any], ...]]:
        paths = paths_of(self.before.node)
        early = {"boot.before": (self.before.plain(paths),)} if self.before.values else {}
        return {**early, "boot": (self.boot.plain(paths), *(d.plain(paths) for d in self._of_disks)),
                "initramfs": (self.initramfs.plain(paths),), "network": (self.network.plain(paths),)}

    def _take_hostname(self, item: YamlNode) -> None:
        self._hostname = self.values.text(item, "hostname")
        self.initramfs.mark("hostname", item)

    def _take_fqdn(self, item: YamlNode) -> None:
        self._fqdn = self.values.text(item, "fqdn")
        if "hostname" not in self.initramfs.marks:
            self.initramfs.mark("hostname", item)

    def _take_prefer_fqdn_over_hostname(self, item: YamlNode) -> None:
        self._prefer_fqdn = self.values.boolean(item, "prefer_fqdn_over_hostname")

    def _take_preserve_hostname(self, item: YamlNode) -> None:
        self._preserve = self.values.boolean(item, "preserve_hostname")

    def _take_manage_etc_hosts(self, item: YamlNode) -> None:
        if flag(item) is True or (item.kind is SCALAR and item.value in ("localhost", "template")):
            self._hosts = item
        elif flag(item) is None:
            self.values.error(item, "manage_etc_hosts", "true, false or localhost belongs here", "write true for a line with the node's names")

    def _take_runcmd(self, item: YamlNode) -> None:
        self._commands = self._shell(item, "runcmd")

    def _take_bootcmd(self, item: YamlNode) -> None:
        self.before.items("commands", self._shell(item, "bootcmd"))

    def _shell(self, node: YamlNode, path: str) -> list[tuple[str, YamlNode]]:
        """Commands: text for a shell, or a list of words, which are quoted so that the shell leaves them alone."""
        found: list[tuple[str, YamlNode]] = []
        for number, item in enumerate(self.values.items(node, path)):
            where = f"{path}[{number}]"
            if item.kind is SEQUENCE:
                found.append((" ".join(quote(w) for w in self.values.texts(item, where)), item))
            else:
                found.append((self.values.text(item, where), item))
        for number, (text, item) in enumerate(found):
            if text.startswith(PER):
                self.values.advise(item, f"{path}[{number}]", "cloud-init-per is a program of cloud-init and not here", "write a step with `frequency: once` under `stages:`")
        return [(text, item) for text, item in found if text]

    def _take_timezone(self, item: YamlNode) -> None:
        zone = self.values.name(item, "timezone")
        if self.values.decoder.broken and not zone:
            return
        if not zone or zone.startswith("/") or ".." in zone or not zone.replace("/", "").replace("_", "").replace("-", "").replace("+", "").isalnum():
            self.values.error(item, "timezone", f"{zone[:40]!r} is not the name of a time zone", "write it like Europe/Rome")
            return
        text = (f'if [ -e {ZONES}{zone} ]; then [ "$(readlink /etc/localtime)" = {ZONES}{zone} ] || ln -sfn {ZONES}{zone} /etc/localtime; '
                f'else echo "no such time zone: {zone}" >&2; exit 1; fi')
        self._early.append((text, item))

    def _take_write_files(self, item: YamlNode) -> None:
        self._files += self.written.write(item, "write_files")

    def _take_milpa_files(self, item: YamlNode) -> None:
        self._legacy_files += self.written.write(item, "milpa_files")

    def _take_ntp(self, node: YamlNode) -> None:
        servers: list[str] = []
        enabled = True
        for key, item in self.values.pairs(node, "ntp"):
            where = f"ntp.{key.value}"
            if key.value in ("servers", "pools"):
                servers += self.values.texts(item, where)
            elif key.value == "enabled":
                enabled = self.values.boolean(item, where)
            elif key.value in ("ntp_client", "config", "peers", "allow"):
                if key.value != "ntp_client" or self.values.text(item, where) not in ("", "auto", "systemd-timesyncd"):
                    self.values.advise(key, where, f"{key.value!r} of ntp is not supported here", "the time comes from systemd-timesyncd")
            else:
                self.values.unknown(key, where, ("servers", "pools", "enabled", "ntp_client", "config", "peers", "allow"))
        if enabled and servers:
            self.boot.put("timesyncd", {"NTP": " ".join(dict.fromkeys(servers))})
            self.boot.mark("timesyncd/NTP", node)

    def _take_packages(self, node: YamlNode) -> None:
        names: list[str] = []
        for number, item in enumerate(self.values.items(node, "packages")):
            where = f"packages[{number}]"
            if item.kind is SEQUENCE:
                names.append("=".join(self.values.texts(item, where)[:2]))
            elif item.kind is MAPPING:
                names += self._of_manager(item, where)
            else:
                names.append(self.values.text(item, where))
        self._packages("install", tuple(names), node)

    def _of_manager(self, node: YamlNode, path: str) -> list[str]:
        """`{apt: [...]}`: the packages of one manager."""
        names: list[str] = []
        for key, item in self.values.pairs(node, path):
            if key.value == "apt":
                for number, each in enumerate(self.values.items(item, f"{path}.apt")):
                    where = f"{path}.apt[{number}]"
                    names.append("=".join(self.values.texts(each, where)[:2]) if each.kind is SEQUENCE else self.values.text(each, where))
            else:
                self.values.advise(key, f"{path}.{key.value}", f"packages of {key.value!r} are not supported here", "install them by a command")
        return names

    def _take_package_update(self, node: YamlNode) -> None:
        self._packages("refresh", self.values.boolean(node, "package_update"), node)

    def _take_package_upgrade(self, node: YamlNode) -> None:
        self._packages("upgrade", self.values.boolean(node, "package_upgrade"), node)

    def _packages(self, key: str, value: Any, node: YamlNode) -> None:
        if value:
            self.network.put("packages", {**self.network.values.get("packages", {}), key: value})
            self.network.mark("packages", node)
            self.network.mark(f"packages/{key}", node)

