"""Executes the nodes of a template: text, control structures, templates within it, as Go does."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template import nodes as n
from kairos_boot.template.data import DataMap, Struct
from kairos_boot.template.evaluation import Evaluator, Rendering
from kairos_boot.template.gofmt import show
from kairos_boot.template.parser import parse
from kairos_boot.template.text import quote
from kairos_boot.template.values import MISSING, Failure, located, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def execute(text: str, data: Mapping[str, object], *, strict: bool, extra: Mapping[str, Callable[..., object]],
            missing: list[tuple[str, int]] | None = None) -> str:
    """Parse *text*, run it with *data* as the dot and return what it prints; see `render`."""
    run = Rendering(text, parse(text, extra), strict=strict, extra=extra)
    dot = Struct(data) if strict else DataMap(data)
    scope = _Scope(run, "template", dot, 0)
    limits.worked()
    try:
        scope.walk(dot, run.templates["template"])
    except Failure as fault:
        raise run.error(fault) from None
    except RecursionError:
        raise run.error(Failure("the template is nested too deeply")) from None
    if missing is not None:
        missing += ((source, located(text, position)[0]) for source, position in run.missing.items())
    output = "".join(run.output)
    return output if output.isascii() else output.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


class _Jump(Exception):  # noqa: N818
    """break or continue on its way to the loop."""


class _Scope(Evaluator):
    """One template being executed, node after node."""

    __slots__ = ("depth", "name")

    def __init__(self, run: Rendering, name: str, dot: object, depth: int) -> None:
        super().__init__(run, dot)
        self.name = name
        self.depth = depth

    def walk(self, dot: object, body: Iterable[n.SyntaxNode]) -> None:
        """Execute *body* with the cursor at *dot*."""
        run = self.run
        for node in body:
            run.meter.step()
            if isinstance(node, n.Text):
                run.write(node.text)
                continue
            run.node = node
            if isinstance(node, n.Action):
                value = self.pipe(dot, node.pipe)
                if not node.pipe.variables:
                    run.node = node
                    if value is MISSING:
                        run.miss(node.pipe)
                    run.write(show(value))
                    run.meter.step(limits.worked())
            elif isinstance(node, n.Branch):
                mark = len(self.variables)
                (self.loop if node.keyword == "range" else self.branch)(dot, node)
                del self.variables[mark:]
            elif isinstance(node, n.Call):
                self.call(dot, node)
            elif isinstance(node, n.Jump):
                raise _Jump(node.name)

    def branch(self, dot: object, node: n.Branch) -> None:
        value = self.pipe(dot, node.pipe)
        if truth(value):
            self.walk(value if node.keyword == "with" else dot, node.body)
        elif node.otherwise is not None:
            self.walk(dot, node.otherwise)

    def loop(self, dot: object, node: n.Branch) -> None:
        """range: over lists, maps in the order of their keys, and integers."""
        value = self.pipe(dot, node.pipe)
        mark = len(self.variables)
        names = node.pipe.variables
        items: Iterable[tuple[object, object]]
        if isinstance(value, (list, tuple)):
            items = enumerate(list(value))
        elif isinstance(value, dict) and not isinstance(value, Struct):
            items = sorted(value.items())
        elif isinstance(value, int) and not isinstance(value, bool):
            if len(names) > 1:
                raise Failure(f"can't use {value} to iterate over more than one variable")
            limits.list_fits(value)
            items = ((i, type(value)(i)) for i in range(value))
        elif value is MISSING:
            items = ()
        else:
            raise Failure(f"range can't iterate over {show(value)}")
        empty = True
        for key, item in items:
            empty = False
            for place, (name, part) in enumerate(zip(names, (item,) if len(names) == 1 else (key, item), strict=False), mark - len(names)):
                if node.pipe.assigns:
                    self.assign(name, part)
                else:
                    self.variables[place][1] = part
            try:
                self.walk(item, node.body)
            except _Jump as jump:
                if jump.args[0] == "break":
                    break
            finally:
                del self.variables[mark:]
            self.run.meter.step()
        if empty and node.otherwise is not None:
            self.walk(dot, node.otherwise)

    def call(self, dot: object, node: n.Call) -> None:
        body = self.run.templates.get(node.name)
        if body is None:
            known = ", ".join(sorted(k for k in self.run.templates if k != "template"))
            raise Failure(f"template {quote(node.name)} not defined", f"defined here: {known}" if known else "")
        if self.depth >= limits.DEPTH:
            raise Failure(f"exceeded maximum template depth ({limits.DEPTH})")
        argument = self.pipe(dot, node.pipe) if node.pipe else MISSING
        self.run.template = node.name
        _Scope(self.run, node.name, argument, self.depth + 1).walk(argument, body)
        self.run.template = self.name
