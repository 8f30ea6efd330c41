"""The parsed template: one class per construct. str(node) is its source form, as error messages quote it."""

from __future__ import annotations

from kairos_boot.template.text import quote


class SyntaxNode:
    """A piece of a template; *position* is its character offset in the text."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class Literal(SyntaxNode):
    """A string, number or boolean; *source* is how it was written."""

    __slots__ = ("kind", "source", "value")

    def __init__(self, position: int, kind: str, value: object, source: str) -> None:
        super().__init__(position)
        self.kind = kind
        self.value = value
        self.source = source

    def __str__(self) -> str:
        return self.source


class Word(SyntaxNode):
    """What one word says."""

    __slots__ = ("name",)

    def __init__(self, position: int, name: str) -> None:
        super().__init__(position)
        self.name = name

    def __str__(self) -> str:
        return self.name


class Dot(Word):
    """The cursor."""

    __slots__ = ()


class Nil(Word):
    """The untyped nil."""

    __slots__ = ()


class Identifier(Word):
    """The name of a function."""

    __slots__ = ()


class Field(SyntaxNode):
    """`.a.b`."""

    __slots__ = ("names",)

    def __init__(self, position: int, names: list[str]) -> None:
        super().__init__(position)
        self.names = names

    def __str__(self) -> str:
        return "." + ".".join(self.names)


class Variable(SyntaxNode):
    """`$x.a.b`; the name keeps its `$`."""

    __slots__ = ("name", "names")

    def __init__(self, position: int, name: str, names: list[str]) -> None:
        super().__init__(position)
        self.name = name
        self.names = names

    def __str__(self) -> str:
        return ".".join([self.name, *self.names])


class Chain(SyntaxNode):
    """Field access on anything else: `(index .a 0).b`."""

    __slots__ = ("names", "node")

    def __init__(self, position: int, node: SyntaxNode, names: list[str]) -> None:
        super().__init__(position)
        self.node = node
        self.names = names

    def __str__(self) -> str:
        inner = f"({self.node})" if isinstance(self.node, Pipe) else str(self.node)
        return ".".join([inner, *self.names])


class Command(SyntaxNode):
    """Operands separated by spaces."""

    __slots__ = ("args",)

    def __init__(self, position: int, args: list[SyntaxNode]) -> None:
        super().__init__(position)
        self.args = args

    def __str__(self) -> str:
        return " ".join(f"({a})" if isinstance(a, Pipe) else str(a) for a in self.args)


class Pipe(SyntaxNode):
    """Commands joined by `|`, with the variables that take the result."""

    __slots__ = ("assigns", "commands", "variables")

    def __init__(self, position: int, variables: list[str], commands: list[Command], *, assigns: bool) -> None:
        super().__init__(position)
        self.variables = variables
        self.commands = commands
        self.assigns = assigns

    def __str__(self) -> str:
        head = ", ".join(self.variables) + (" = " if self.assigns else " := ") if self.variables else ""
        return head + " | ".join(str(c) for c in self.commands)


class Text(SyntaxNode):
    """What stands between actions."""

    __slots__ = ("text",)

    def __init__(self, position: int, text: str) -> None:
        super().__init__(position)
        self.text = text


class Action(SyntaxNode):
    """`{{ pipeline }}`."""

    __slots__ = ("pipe",)

    def __init__(self, position: int, pipe: Pipe) -> None:
        super().__init__(position)
        self.pipe = pipe

    def __str__(self) -> str:
        return "{{" + str(self.pipe) + "}}"


class Branch(SyntaxNode):
    """if, with or range, named by *keyword*."""

    __slots__ = ("body", "keyword", "otherwise", "pipe")

    def __init__(self, position: int, keyword: str, pipe: Pipe, body: list[SyntaxNode], otherwise: list[SyntaxNode] | None) -> None:
        super().__init__(position)
        self.keyword = keyword
        self.pipe = pipe
        self.body = body
        self.otherwise = otherwise


class Jump(Word):
    """break or continue."""

    __slots__ = ()


class Call(SyntaxNode):
    """`{{ template "name" pipeline }}`."""

    __slots__ = ("name", "pipe")

    def __init__(self, position: int, name: str, pipe: Pipe | None) -> None:
        super().__init__(position)
        self.name = name
        self.pipe = pipe

    def __str__(self) -> str:
        return "{{template " + quote(self.name) + (f" {self.pipe}" if self.pipe else "") + "}}"


class Stop(Word):
    """end or else: ends a list of nodes, never executed."""

    __slots__ = ()

    def __str__(self) -> str:
        return "{{" + self.name + "}}"
