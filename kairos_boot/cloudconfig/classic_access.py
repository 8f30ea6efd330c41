"""The classic keys `chpasswd`, `ssh_pwauth`, `disable_root` and `ca_certs` of #cloud-config documents (B12)."""

from __future__ import annotations

from kairos_boot.cloudconfig.nodes import MAPPING, SCALAR
from kairos_boot.cloudconfig.scalars import FALSE, NO, TRUE, YES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.cloudconfig.classic import ClassicReader, Draft
    from kairos_boot.cloudconfig.nodes import YamlNode

METHODS = frozenset(("1", "2a", "2b", "2x", "2y", "5", "6", "7", "gy", "y"))
"""Between the first two `$` of a hash in `chpasswd: list`; any other text is a password (crypt(5))."""
RANDOM = ("R", "RANDOM")
OPTIONS = 'no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command="echo \'Please login as the user \\"$USER\\" rather than the user \\"root\\".\';echo;sleep 10;exit 142"'
"""What stands before a key of root that opens nothing, as cloud-init writes it."""
UNCHANGED = ("", "unchanged")


class Access:
    """Reads who may enter, and how; `finish` puts it into the step."""

    def __init__(self, values: ClassicReader) -> None:
        self.values = values
        self.passwords: list[tuple[dict[str, Any], YamlNode]] = []
        self.root: bool | None = None
        """`disable_root`: whether keys for everybody are to open nothing for root; None where nothing is said."""
        self.options = OPTIONS
        self._pwauth: tuple[str, YamlNode] | None = None
        self._certificates: tuple[dict[str, Any], YamlNode] | None = None

    def chpasswd(self, node: YamlNode) -> None:
        """Passwords of accounts that are there, by list or by text."""
        found: list[tuple[dict[str, Any], YamlNode]] = []
        expire = True
        for key, item in self.values.pairs(node, "chpasswd"):
            where = f"chpasswd.{key.value}"
            if key.value == "expire":
                expire = self.values.boolean(item, where)
            elif key.value == "list":
                found += self._lines(item, where)
            elif key.value == "users":
                found += [entry for number, each in enumerate(self.values.items(item, where)) if (entry := self._user(each, f"{where}[{number}]"))]
            else:
                self.values.unknown(key, where, ("expire", "users", "list"))
        self.passwords = [({**password, "expire": expire and password["plain"]}, place) for password, place in found]

    def _lines(self, node: YamlNode, path: str) -> list[tuple[dict[str, Any], YamlNode]]:
        """`NAME:PASSWORD` lines of a text, or items of a list."""
        if node.kind is SCALAR:
            texts = [(line, node) for line in self.values.text(node, path).split("\n")]
        else:
            texts = [(self.values.text(item, f"{path}[{number}]"), item) for number, item in enumerate(self.values.items(node, path))]
        found = []
        for text, place in texts:
            name, colon, password = text.strip().partition(":")
            if not text.strip():
                continue
            if not colon or not name or not password:
                self.values.error(place, path, "a line is not NAME:PASSWORD", "write one such line for each user")
            elif password in RANDOM:
                self._random(place, path, name)
            else:
                found.append(({"name": name, "password": password, "plain": not is_hash(password)}, place))
        return found

    def _user(self, node: YamlNode, path: str) -> tuple[dict[str, Any], YamlNode] | None:
        name = password = kind = ""
        for key, item in self.values.pairs(node, path):
            where = f"{path}.{key.value}"
            if key.value == "name":
                name = self.values.name(item, where)
            elif key.value == "password":
                password = self.values.text(item, where)
            elif key.value == "type":
                kind = self.values.text(item, where)
                if kind not in ("", "hash", "text", "RANDOM"):
                    self.values.error(item, where, f"{kind[:20]!r} is no type of a password", "write hash or text")
            else:
                self.values.unknown(key, where, ("name", "password", "type"))
        if kind == "RANDOM":
            self._random(node, path, name)
            return None
        if node.kind is MAPPING and not (name and password):
            self.values.error(node, path, "a name and a password belong here", "write {name: …, password: …, type: text}")
        return ({"name": name, "password": password, "plain": kind == "text"}, node) if name and password else None

    def _random(self, node: YamlNode, path: str, name: str) -> None:
        self.values.advise(node, path, f"random passwords are not made here, so {name} keeps the one it has", "it would be another one at each boot; give a hash")

    def ssh_pwauth(self, node: YamlNode) -> None:
        if node.kind is SCALAR and node.value in UNCHANGED:
            return
        self._pwauth = ("yes" if self.values.boolean(node, "ssh_pwauth") else "no", node)

    def disable_root(self, node: YamlNode) -> None:
        self.root = self.values.boolean(node, "disable_root")

    def disable_root_opts(self, node: YamlNode) -> None:
        self.options = " ".join(self.values.text(node, "disable_root_opts").split("\n")).strip() or OPTIONS

    def ca_certs(self, node: YamlNode, name: str) -> None:
        found: dict[str, Any] = {"trusted": (), "remove_defaults": False}
        for key, item in self.values.pairs(node, name):
            where, field = f"{name}.{key.value}", key.value.replace("-", "_")
            if field == "trusted":
                nodes = [item] if item.kind is SCALAR else self.values.items(item, where)
                found[field] = tuple(text for each in nodes if (text := self.values.text(each, where)))
            elif field == "remove_defaults":
                found[field] = self.values.boolean(item, where)
            else:
                self.values.unknown(key, where, ("trusted", "remove_defaults"))
        if any(found.values()):
            self._certificates = (found, node)

    def finish(self, boot: Draft) -> None:
        boot.items("passwords", self.passwords)
        for field, found in (("ssh_pwauth", self._pwauth), ("ca_certs", self._certificates)):
            if found:
                boot.put(field, found[0])
                boot.mark(field, found[1])


def is_hash(text: str) -> bool:
    """Whether a password of `chpasswd: list` is a hash."""
    parts = text.split("$")
    return len(parts) > 3 and not parts[0] and parts[1] in METHODS and all(parts[2:]) and ":" not in text


def flag(node: YamlNode) -> bool | None:
    """The boolean that a scalar is, or None."""
    if node.kind is not SCALAR or not (node.plain or node.value in TRUE | FALSE):
        return None
    return True if node.value in TRUE | YES else False if node.value in FALSE | NO else None
