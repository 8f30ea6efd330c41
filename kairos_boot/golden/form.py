"""The file of a golden test: cases, each with a tree, configurations and what must come out (docs/testing-configurations.md).

Everything is text, a list or a map; whatever is wrong is a KairosError at its line and column.
"""

from __future__ import annotations

from kairos_boot.cloudconfig.compose import compose
from kairos_boot.cloudconfig.nodes import MAPPING, SCALAR, SEQUENCE, YamlSyntaxError
from kairos_boot.cloudconfig.scalars import is_null
from kairos_boot.errors import KairosError
from kairos_boot.nearest import did_you_mean
from kairos_boot.records import NOTHING, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from kairos_boot.cloudconfig.nodes import YamlNode

CASE = ("name", "root", "files", "configurations", "cmdline", "sentinels", "facts", "commands", "stage", "stages", "expect")
EXPECT: dict[str, tuple[str, ...]] = {
    "steps": (), "problems": (), "commands": (), "links": (), "units": (),
    "files": ("content", "contains", "mode", "owner", "group", "absent"),
    "directories": ("mode", "owner", "group", "absent"),
    "users": ("uid", "gid", "home", "shell", "groups", "absent"),
    "groups": ("gid", "members", "absent"),
}
"""What may be expected, and the keys of a thing that has some."""
LISTS = ("steps", "problems", "commands")


@record
class Put:
    """Something that is in the tree before: a file's *content*, or what lies at *source* on this machine."""

    path: str
    where: str
    content: str = ""
    source: str = ""
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)


@record
class Answer:
    """How a command ends that contains *run*."""

    run: str
    exit: int = 0
    output: str = ""


@record
class Case:
    """One test. *expect* has the expected things as plain data, *places* where each of its keys stands."""

    name: str
    where: str
    root: str = ""
    puts: tuple[Put, ...] = ()
    cmdline: str = ""
    facts: Mapping[str, Any] = NOTHING
    answers: tuple[Answer, ...] = ()
    stages: tuple[str, ...] = ()
    expect: Mapping[str, Any] = NOTHING
    places: Mapping[str, str] = NOTHING


def read(data: bytes, source: str) -> list[Case]:
    """The cases of the file called *source*. KairosError: it is none."""
    try:
        root = compose(data)
    except YamlSyntaxError as fault:
        raise KairosError(fault.message, f"{source}:{fault.line}:{fault.column}", fault.hint) from fault
    if root is None:
        raise KairosError("the file is empty", source, "begin it with `cases:`")
    form = _Form(source)
    cases = form.items(form.map(root, ("cases",), needed=("cases",))["cases"])
    if not cases:
        raise KairosError("there is no case", source, "write one below `cases:`")
    return [form.case(node) for node in cases]


class _Form:
    """Reads the nodes of one file."""

    def __init__(self, source: str) -> None:
        self.source = source
        directory = source.rpartition("/")
        self.directory = directory[0] + directory[1]

    def wrong(self, node: YamlNode, message: str, hint: str = "") -> KairosError:
        return KairosError(message, self.at(node), hint)

    def at(self, node: YamlNode) -> str:
        return f"{self.source}:{node.line}:{node.column}"

    def map(self, node: YamlNode, known: Collection[str] = (), needed: Collection[str] = ()) -> dict[str, YamlNode]:
        """A map with these keys only, if there are any."""
        if node.kind is not MAPPING:
            raise self.wrong(node, f"a map belongs here, not a {node.kind}", f"it has the keys {', '.join(known)}" if known else "write `name: value` lines")
        found: dict[str, YamlNode] = {}
        for key, value in node.value:
            if key.kind is not SCALAR:
                raise self.wrong(key, f"a key must be text, not a {key.kind}", "put it in quotes")
            if known and key.value not in known:
                raise self.wrong(key, f"unknown key: {key.value}", did_you_mean(key.value, known) or f"there are {', '.join(known)}")
            if key.value in found:
                raise self.wrong(key, f"the key {key.value!r} stands here twice", "keep one of them")
            found[key.value] = value
        for name in needed:
            if name not in found:
                raise self.wrong(node, f"{name} is missing here", f"add `{name}:`")
        return found

    def items(self, node: YamlNode) -> list[YamlNode]:
        if node.kind is not SEQUENCE:
            raise self.wrong(node, f"a list belongs here, not a {node.kind}", "write a line `- …` for each item")
        return list(node.value)

    def text(self, node: YamlNode) -> str:
        if node.kind is not SCALAR:
            raise self.wrong(node, f"text belongs here, not a {node.kind}", "put it in quotes")
        return str(node.value)

    def path(self, node: YamlNode) -> str:
        path = self.text(node)
        if not path.startswith("/"):
            raise self.wrong(node, f"not an absolute path: {path!r}", "begin it with /: it is one of the node")
        return path

    def number(self, node: YamlNode, base: int = 10) -> int:
        try:
            return int(self.text(node), base)
        except ValueError:
            raise self.wrong(node, f"not a number: {node.value!r}", "write an octal mode such as 0644" if base == 8 else "write digits") from None

    def texts(self, node: YamlNode) -> tuple[str, ...]:
        return tuple(self.text(item) for item in self.items(node))

    def plain(self, node: YamlNode) -> Any:
        """Facts: text, numbers (floats, as on a node), booleans, lists and maps."""
        if node.kind is MAPPING:
            return {key: self.plain(value) for key, value in self.map(node).items()}
        if node.kind is SEQUENCE:
            return [self.plain(item) for item in node.value]
        text = self.text(node)
        if node.plain and text in ("true", "false"):
            return text == "true"
        if node.plain and text.replace(".", "", 1).removeprefix("-").isdecimal():
            return float(text)
        return None if is_null(node) else text

    def case(self, node: YamlNode) -> Case:
        keys = self.map(node, CASE, ("name", "expect"))
        if ("stage" in keys) == ("stages" in keys):
            raise self.wrong(node, "a case runs `stage: NAME` or `stages: [NAME, …]`", "write one of the two")
        puts = [self.file(key, value) for key, value in keys["files"].value] if "files" in keys and self.map(keys["files"]) else []
        puts += [self.configuration(item) for item in self.items(keys["configurations"])] if "configurations" in keys else []
        puts += [Put(f"/run/cos/{self.text(item)}", self.at(item), "1") for item in self.items(keys["sentinels"])] if "sentinels" in keys else []
        cmdline = self.text(keys["cmdline"]) if "cmdline" in keys else ""
        expect, places = self.expect(keys["expect"])
        return Case(
            self.text(keys["name"]), self.at(node), self.near(self.text(keys["root"])) if "root" in keys else "", tuple(puts), cmdline,
            {key: self.plain(value) for key, value in self.map(keys["facts"]).items()} if "facts" in keys else {},
            tuple(self.answer(item) for item in self.items(keys["commands"])) if "commands" in keys else (),
            (self.text(keys["stage"]),) if "stage" in keys else self.texts(keys["stages"]), expect, places)

    def near(self, path: str) -> str:
        """A path of this machine: a relative one begins beside the file."""
        return path if path.startswith("/") else self.directory + path

    def file(self, name: YamlNode, node: YamlNode) -> Put:
        path = self.path(name)
        if node.kind is SCALAR:
            return Put(path, self.at(name), self.text(node))
        keys = self.map(node, ("content", "mode", "owner"))
        user, _, group = self.text(keys["owner"]).partition(":") if "owner" in keys else ("0", "", "0")
        if not user.isdecimal() or not (group or "0").isdecimal():
            raise self.wrong(keys["owner"], f"not numbers: {keys['owner'].value!r}", "write USER:GROUP in numbers, such as 1000:1000")
        return Put(path, self.at(name), self.text(keys["content"]) if "content" in keys else "", "", self.number(keys["mode"], 8) if "mode" in keys else 0o644,
                   (int(user), int(group or user)))

    def configuration(self, node: YamlNode) -> Put:
        if node.kind is SCALAR:
            source = self.near(self.text(node))
            return Put(f"/oem/{source.rpartition('/')[2]}", self.at(node), source=source)
        keys = self.map(node, ("path", "from", "content"), ("path",))
        if ("from" in keys) == ("content" in keys):
            raise self.wrong(node, "a configuration has `content:`, or `from:` a file", "write one of the two")
        return Put(self.path(keys["path"]), self.at(node), self.text(keys["content"]) if "content" in keys else "", self.near(self.text(keys["from"])) if "from" in keys else "")

    def answer(self, node: YamlNode) -> Answer:
        keys = self.map(node, ("run", "exit", "output"), ("run",))
        return Answer(self.text(keys["run"]), self.number(keys["exit"]) if "exit" in keys else 0, self.text(keys["output"]) if "output" in keys else "")

    def expect(self, node: YamlNode) -> tuple[dict[str, Any], dict[str, str]]:
        expected: dict[str, Any] = {}
        places = {"": self.at(node)}
        for name, section in self.map(node, tuple(EXPECT)).items():
            places[name] = self.at(section)
            expected[name] = [self.line(item) for item in self.items(section)] if name in LISTS else self.things(name, section)
        return expected, places

    def line(self, node: YamlNode) -> str:
        """A text, or a step with its outcome as a map of one key."""
        if node.kind is not MAPPING:
            return self.text(node)
        keys = self.map(node)
        if len(keys) != 1:
            raise self.wrong(node, "a step has one outcome", "write `- NAME`, or `- NAME: skipped`")
        return "".join(f"{name}: {self.text(value)}" for name, value in keys.items())

    def things(self, name: str, section: YamlNode) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in self.map(section).items():
            if name == "files" and value.kind is SCALAR:
                found[key] = {"content": self.text(value)}
            elif EXPECT[name]:
                below = self.map(value, EXPECT[name])
                found[key] = {word: list(self.texts(item)) if item.kind is SEQUENCE else self.text(item) for word, item in below.items()}
                for word in ("mode",):
                    if word in below:
                        found[key][word] = f"{self.number(below[word], 8):04o}"
            else:
                found[key] = list(self.texts(value)) if value.kind is SEQUENCE else self.text(value)
        return found
