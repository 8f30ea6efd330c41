"""What a document is made of before it has types: nodes with their place in the text."""

from __future__ import annotations

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCALAR, SEQUENCE, MAPPING, LOOP = "text", "list", "map", "loop"
"""Kinds of nodes, as messages call them. A LOOP is an alias inside the very value that it names."""


class YamlNode:
    """A scalar, a list, or a map of YAML with the place where it is written; lines and columns count from 1.

    `value` is the text, the list of nodes, or the list of (key, value) pairs. `plain` is false for a scalar in quotes or
    in a block. An alias is the node that it names, at the alias' own place and with `alias` set.
    """

    __slots__ = ("alias", "column", "kind", "line", "plain", "tag", "value")

    def __init__(self, kind: str, value: Any, line: int, column: int, *, tag: str | None = None, plain: bool = True, alias: bool = False) -> None:
        self.kind = kind
        self.value = value
        self.line = line
        self.column = column
        self.tag = tag
        self.plain = plain
        self.alias = alias

    def at(self, line: int, column: int) -> YamlNode:
        """This node as an alias at another place; what is inside stays where it is written."""
        return YamlNode(self.kind, self.value, line, column, tag=self.tag, plain=self.plain, alias=True)


class YamlSyntaxError(KairosError):
    """A text is no YAML; *line* and *column* say where the parser stopped."""

    def __init__(self, message: str, line: int, column: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column
