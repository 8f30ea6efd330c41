"""What the readers of classic cloud-init keys share: typed values out of nodes, and the draft of a generated step."""

from __future__ import annotations

from kairos_boot.cloudconfig.nodes import MAPPING, SCALAR, SEQUENCE
from kairos_boot.cloudconfig.scalars import FALSE, TRUE, is_null, number
from kairos_boot.cloudconfig.typed import ABSENT, keys_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kairos_boot.cloudconfig.nodes import YamlNode
    from kairos_boot.cloudconfig.typed import Decoder


class Draft:
    """A generated step: plain values by field, and where they come from."""

    def __init__(self, node: YamlNode | None) -> None:
        self.node = node
        self.values: dict[str, Any] = {}
        self.marks: dict[str, tuple[int, int]] = {"": (node.line, node.column) if node else (1, 1)}

    def put(self, field: str, value: Any) -> None:
        self.values[field] = value

    def mark(self, path: str, node: YamlNode) -> None:
        self.marks[path] = (node.line, node.column)

    def items(self, field: str, found: Sequence[tuple[Any, YamlNode]]) -> None:
        """Set a field that is a list, if there is anything in it."""
        if found:
            self.values[field] = tuple([value for value, _ in found])
            self.mark(field, found[0][1])
            for index, (_, node) in enumerate(found):
                self.mark(f"{field}/{index}", node)
                if isinstance(node.value, list) and node.kind is MAPPING:
                    for key, item in node.value:
                        if key.kind is SCALAR:
                            self.mark(f"{field}/{index}/{FIELDS.get(key.value, key.value)}", item)

    def plain(self, paths: Mapping[tuple[int, int], str]) -> dict[str, Any]:
        """The step as plain data; *paths* are what the document calls the values at its lines and columns."""
        written = {path: paths[place] for path, place in self.marks.items() if paths.get(place)}
        return {**self.values, "marks": self.marks, "written": written, "keys": keys_of(self.values), "classic": True}


def paths_of(root: YamlNode | None) -> dict[tuple[int, int], str]:
    """What each value of a document is called in it (`runcmd[0]`), by its line and column."""
    found: dict[tuple[int, int], str] = {}
    todo = [(root, "")] if root else []
    while todo:
        node, path = todo.pop(0)
        if (node.line, node.column) in found and path:
            continue  # an alias of what was seen, or the first key of a map, which begins where the map does
        found[node.line, node.column] = path
        if node.kind is SEQUENCE:
            todo += [(item, f"{path}[{number}]") for number, item in enumerate(node.value)]
        elif node.kind is MAPPING:
            for key, item in node.value:
                if key.kind is SCALAR:
                    name = f"{path}.{key.value}".lstrip(".")
                    found.setdefault((key.line, key.column), name)
                    todo.append((item, name))
    return found


FIELDS = {"owner": "ownerstring", "source": "url"}
"""Classic keys of a file whose field has another name."""


class ClassicReader:
    """Reads values; what is wrong is noted with the decoder, and a zero value is given back."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.error = decoder.error
        self.warn = decoder.warn
        self.advise = decoder.advise
        self.unknown = decoder.unknown

    def text(self, node: YamlNode, path: str) -> str:
        """Text; null is empty."""
        value = self.decoder.value(node, "str", path, {}, "")
        return "" if value is ABSENT else value

    def name(self, node: YamlNode, path: str) -> str:
        """Text that names something: a number or a boolean is none."""
        if node.kind is SCALAR and node.plain and (node.value in TRUE | FALSE or number(node.value) is not None):
            self.error(node, path, f"a name belongs here, not {node.value}", "put it in quotes if it is one")
            return ""
        return self.text(node, path)

    def boolean(self, node: YamlNode, path: str) -> bool:
        """True or false; null is false."""
        value = self.decoder.value(node, "bool", path, {}, "")
        return value is True

    def items(self, node: YamlNode, path: str) -> list[YamlNode]:
        """The nodes of a list without nulls."""
        if node.kind is SCALAR and is_null(node):
            return []
        if node.kind is not SEQUENCE:
            self.error(node, path, f"a list belongs here, not a {node.kind}", "write it as a list: a line `- …` for each item")
            return []
        return [item for item in node.value if not (item.kind is SCALAR and is_null(item))]

    def texts(self, node: YamlNode, path: str) -> list[str]:
        return [self.text(item, f"{path}[{index}]") for index, item in enumerate(self.items(node, path))]

    def words(self, node: YamlNode, path: str) -> list[str]:
        """A list of texts, or one text with commas between them."""
        if node.kind is SCALAR:
            return [word.strip() for word in self.name(node, path).split(",") if word.strip()]
        return [word for index, item in enumerate(self.items(node, path)) if (word := self.name(item, f"{path}[{index}]"))]

    def pairs(self, node: YamlNode, path: str) -> list[tuple[YamlNode, YamlNode]]:
        """Keys and values of a map; null is an empty one."""
        if node.kind is SCALAR and is_null(node):
            return []
        if node.kind is not MAPPING:
            self.error(node, path, f"a map belongs here, not a {node.kind}", "write `key: value` lines below, indented")
            return []
        return [(key, item) for key, item in self.decoder.pairs(node, path) if not is_null(key)]


def quote(word: str) -> str:
    """*word* so that a shell takes it as it stands."""
    if word and word.isascii() and not word.strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_"):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
