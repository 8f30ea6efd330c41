"""Evaluates what stands inside actions: pipelines, commands, field paths, variables and calls, as Go does."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template import nodes as n
from kairos_boot.template.calls import check_count, check_type, constant, letter
from kairos_boot.template.data import Struct
from kairos_boot.template.errors import TemplateError
from kairos_boot.template.functions import find
from kairos_boot.template.text import quote
from kairos_boot.template.values import MISSING, Failure, GoObject, located, truth, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NAMED = 20
"""So many values that are not there are named."""
_PRINTING = frozenset("cat html join js print printf println quote squote toJson toPrettyJson toRawJson toString urlquery".split())
"""Functions that make text of what they are given, whether it is there or not; the others ask, or refuse it."""
_ABSENT = object()
"""No value comes through the pipe."""


class Rendering:
    """One rendering: what is known, what was written, and where it is."""

    __slots__ = ("extra", "length", "meter", "missing", "node", "output", "strict", "template", "templates", "text")

    def __init__(
        self, text: str, templates: dict[str, list[n.SyntaxNode]], *, strict: bool, extra: Mapping[str, Callable[..., object]]
    ) -> None:
        self.text = text
        self.templates = templates
        self.strict = strict
        self.extra = extra
        self.meter = limits.Meter()
        self.missing: dict[str, int] = {}
        self.output: list[str] = []
        self.length = 0
        self.node: n.SyntaxNode | None = None
        self.template = "template"

    def write(self, text: str) -> None:
        self.length += len(text)
        limits.text_fits(self.length)
        self.output.append(text)

    def miss(self, node: n.SyntaxNode) -> None:
        """Remember that the value of *node* is printed and is not there, the first few of them."""
        if len(self.missing) < _NAMED:
            self.missing.setdefault(str(node), node.position)

    def error(self, fault: Failure) -> TemplateError:
        """*fault* with the place that was being executed."""
        node = self.node
        if node is None:
            return TemplateError(f"template: template: {fault.reason}", fault.hint, reason=fault.reason)
        line, column = located(self.text, node.position)
        message = f"template: template:{line}:{column}: executing {quote(self.template)} at <{node}>: {fault.reason}"
        first = node.args[0] if isinstance(node, n.Command) else node
        name = first.name if isinstance(first, n.Identifier) else ""
        return TemplateError(message, fault.hint, reason=fault.reason, line=line, column=column, function=name)


class Evaluator:
    """One template being executed: its dot and variables, and the values of its pipelines."""

    __slots__ = ("run", "variables")

    def __init__(self, run: Rendering, dot: object) -> None:
        self.run = run
        self.variables: list[list[object]] = [["$", dot]]

    def assign(self, name: str, value: object) -> None:
        for entry in reversed(self.variables):
            if entry[0] == name:
                entry[1] = value
                return

    def pipe(self, dot: object, pipe: n.Pipe) -> object:
        """The value of a pipeline; nil counts as no value, as in Go."""
        value: object = _ABSENT
        before = pipe.commands[0]
        for command in pipe.commands:
            first = command.args[0]
            if value is MISSING and isinstance(first, n.Identifier) and first.name in _PRINTING:
                self.run.miss(before)
            value, before = self.command(dot, command, value), command
            if value is None:
                value = MISSING
        for name in pipe.variables:
            if pipe.assigns:
                self.assign(name, value)
            else:
                self.variables.append([name, value])
        return value

    def command(self, dot: object, command: n.Command, final: object) -> object:
        """The value of one command, *final* being what comes through the pipe."""
        first = command.args[0]
        self.run.node = first
        arguments = command.args[1:]
        if isinstance(first, n.Identifier):
            return self.function(dot, first, command, final)
        if isinstance(first, (n.Field, n.Chain)) or (isinstance(first, n.Variable) and first.names):
            return self.path(dot, first, arguments, final)
        if arguments or final is not _ABSENT:
            raise Failure(f"can't give argument to non-function {first}")
        if isinstance(first, n.Nil):
            raise Failure("nil is not a command")
        return self.operand(dot, first)

    def operand(self, dot: object, node: n.SyntaxNode) -> object:
        """The value of an argument."""
        self.run.node = node
        if isinstance(node, n.Literal):
            return node.value
        if isinstance(node, n.Dot):
            return dot
        if isinstance(node, n.Nil):
            return None
        if isinstance(node, n.Identifier):
            return self.function(dot, node, node, _ABSENT)
        if isinstance(node, (n.Field, n.Variable, n.Chain)):
            return self.path(dot, node, [], _ABSENT)
        assert isinstance(node, n.Pipe)
        mark = len(self.variables)
        value = self.pipe(dot, node)
        del self.variables[mark:]
        return value

    def path(self, dot: object, node: n.Field | n.Variable | n.Chain, arguments: list[n.SyntaxNode], final: object) -> object:
        """The value of names behind a dot, from the cursor, a variable or another value on."""
        start = self.variable(node.name) if isinstance(node, n.Variable) else self.operand(dot, node.node) if isinstance(node, n.Chain) else dot
        return self.fields(dot, start, node, node.names, arguments, final)

    def variable(self, name: str) -> object:
        return next(value for known, value in reversed(self.variables) if known == name)

    def fields(self, dot: object, value: object, node: n.SyntaxNode, names: list[str], arguments: list[n.SyntaxNode], final: object) -> object:
        """Follow *names* from *value*; arguments belong to the last, which is a method then."""
        for place, name in enumerate(names):
            last = place == len(names) - 1
            value = self.field(dot, value, node, name, arguments if last else [], final if last else _ABSENT)
        return value

    def field(self, dot: object, value: object, node: n.SyntaxNode, name: str, arguments: list[n.SyntaxNode], final: object) -> object:
        """One step of a field path: a method, a field of a struct, a key of a map."""
        if value is MISSING:
            if self.run.strict:
                raise Failure(f"nil data; no entry for key {quote(name)}")
            return MISSING
        if value is None:
            raise Failure(f"nil pointer evaluating interface {{}}.{name}")
        if isinstance(value, GoObject) and name in value.methods():
            signature, code = value.methods()[name]
            return self.apply(dot, name, signature, code, node, arguments, final)
        given = bool(arguments) or final is not _ABSENT
        if isinstance(value, Struct):
            if name not in value:
                raise Failure(f"can't evaluate field {name} in type struct", "there are ." + ", .".join(value))
            if given:
                raise Failure(f"{name} has arguments but cannot be invoked as function")
            return value[name]
        if not isinstance(value, dict):
            raise Failure(f"can't evaluate field {name} in type {type_name(value)}")
        if given:
            raise Failure(f"{name} is not a method but has arguments")
        if name in value:
            return value[name]
        if self.run.strict:
            raise Failure(f"map has no entry for key {quote(name)}")
        return MISSING

    # Functions

    def function(self, dot: object, node: n.Identifier, whole: n.Command | n.Identifier, final: object) -> object:
        name = node.name
        arguments = whole.args[1:] if isinstance(whole, n.Command) else []
        if name in {"and", "or"}:
            return self.shortcut(dot, node, arguments, final)
        if name in self.run.extra:
            return self.apply(dot, name, "a*", self.run.extra[name], whole, arguments, final)
        signature, code = find(name)
        return self.apply(dot, name, signature, code, whole, arguments, final)

    def shortcut(self, dot: object, node: n.Identifier, arguments: list[n.SyntaxNode], final: object) -> object:
        """`and` and `or`: the first argument that decides, the later ones are not evaluated."""
        if not arguments and final is _ABSENT:
            raise Failure(f"wrong number of args for {node.name}: want at least 1 got 0")
        value: object = None
        for argument in arguments:
            value = self.operand(dot, argument)
            if truth(value) == (node.name == "or"):
                return value
        return final if final is not _ABSENT else value

    def apply(
        self,
        dot: object,
        name: str,
        signature: str,
        code: Callable[..., object],
        node: n.SyntaxNode,
        arguments: list[n.SyntaxNode],
        final: object,
    ) -> object:
        """Check the arguments against *signature*, evaluate them and call *code*."""
        count = len(arguments) + (final is not _ABSENT)
        check_count(name, signature, count)
        values = []
        for place, argument in enumerate(arguments):
            self.run.node = argument
            code_letter = letter(signature, place)
            if isinstance(argument, (n.Literal, n.Nil)):
                values.append(constant(argument, code_letter))
            else:
                value = self.operand(dot, argument)
                self.run.node = argument
                if value is MISSING and name in _PRINTING:
                    self.run.miss(argument)
                values.append(check_type(value, code_letter))
        if final is not _ABSENT:
            values.append(check_type(final, letter(signature, count - 1)))
        self.run.node = node
        meter = self.run.meter
        meter.step()
        meter.arguments(values)
        try:
            result = code(*values)
        except Failure as fault:
            raise Failure(f"error calling {name}: {fault.reason}", fault.hint) from None
        meter.step(limits.worked())
        meter.result(result)
        return result
