"""The trees of regular expressions into programs for `run`.

An instruction is (operation, argument, argument): `set` CHARSET, `split` FIRST SECOND, `jump` TO, `save` SLOT, `assert` KIND, `match`.
"""

from __future__ import annotations

from kairos_boot.template.regex.parse import Parser
from kairos_boot.template.values import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.template.regex.parse import Tree

    Instruction = tuple[str, object, object]

_LARGEST = 20_000


class Program:
    """A compiled expression: its instructions, and the names of its groups by number."""

    __slots__ = ("code", "names")

    def __init__(self, code: list[Instruction], names: list[str]) -> None:
        self.code = code
        self.names = names


def compile_expression(source: str) -> Program:
    """The program of *source*; raise Failure with Go's words."""
    parser = Parser(source)
    code: list[Instruction] = [("save", 0, 0)]
    try:
        tree = parser.alternatives(0)
        if parser.at < len(source):
            raise parser.fault("unexpected )", source)
        _emit(tree, code)
    except RecursionError:
        raise parser.fault("expression nests too deeply", source) from None
    code += [("save", 1, 0), ("match", 0, 0)]
    return Program(code, parser.names)


def _emit(tree: Tree, code: list[Instruction]) -> None:
    """Append the instructions of *tree*."""
    kind, first, second = tree
    if len(code) > _LARGEST:
        raise Failure("error parsing regexp: expression too large")
    if kind == "list":
        assert isinstance(first, list)
        for item in first:
            _emit(item, code)
    elif kind in {"set", "assert"}:
        code.append((kind, first, 0))
    elif kind == "group":
        assert isinstance(first, tuple)
        assert isinstance(second, int)
        code.append(("save", 2 * second, 0))
        _emit(first, code)
        code.append(("save", 2 * second + 1, 0))
    elif kind == "or":
        assert isinstance(first, list)
        jumps = []
        for branch in first[:-1]:
            split = len(code)
            code.append(("split", 0, 0))
            _emit(branch, code)
            jumps.append(len(code))
            code.append(("jump", 0, 0))
            code[split] = ("split", split + 1, len(code))
        _emit(first[-1], code)
        for jump in jumps:
            code[jump] = ("jump", len(code), 0)
    else:
        assert isinstance(first, tuple)
        assert isinstance(second, tuple)
        low, high, greedy = second
        _emit_repeat(first, low, high, code, greedy=greedy)


def _emit_repeat(tree: Tree, low: int, high: int, code: list[Instruction], *, greedy: bool) -> None:
    for _ in range(low):
        _emit(tree, code)
    if high < 0:
        split = len(code)
        code.append(("split", 0, 0))
        _emit(tree, code)
        code.append(("jump", split, 0))
        ends = (split + 1, len(code))
        code[split] = ("split", *(ends if greedy else ends[::-1]))
        return
    splits = []
    for _ in range(high - low):
        splits.append(len(code))
        code.append(("split", 0, 0))
        _emit(tree, code)
    for split in splits:
        ends = (split + 1, len(code))
        code[split] = ("split", *(ends if greedy else ends[::-1]))
