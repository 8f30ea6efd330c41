"""Text to nodes: the first document of a YAML stream, read with libyaml (as yip reads it).

PyYAML's own composer refuses an anchor that is defined twice and recurses; this one allows the first and keeps a stack.
"""

from __future__ import annotations

from kairos_boot.cloudconfig.libyaml import binding
from kairos_boot.cloudconfig.nodes import LOOP, MAPPING, SCALAR, SEQUENCE, YamlNode, YamlSyntaxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CParser, events, MarkedYAMLError, ReaderError = binding()
MAX_DEPTH = 10000


def compose(data: bytes, rest: list[tuple[int, int]] | None = None) -> YamlNode | None:
    """The root node of the first document in *data*, None if there is no content; the rest is not parsed.

    *rest* gets line and column of a second document that has content. UTF-8 and UTF-16 with a byte order mark are known. YamlSyntaxError: it is no YAML 1.1.
    """
    try:
        parser = CParser(data)
        parser.get_event()
        start = parser.get_event()
        if not isinstance(start, events.DocumentStartEvent):
            return None
        if start.version and tuple(start.version) != (1, 1):
            raise YamlSyntaxError("the document declares a YAML version other than 1.1", 1, 1, "leave the %YAML line out")
        root = _document(parser)
    except ReaderError as fault:
        line, column = _place(data, fault.position, fault.encoding)
        raise YamlSyntaxError(f"not a text that YAML allows: {fault.reason}", line, column, "save the file as UTF-8 without control characters") from fault
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        context = f" {fault.context}" if fault.context else ""
        raise YamlSyntaxError(f"not YAML: {fault.problem or 'it cannot be read'}{context}", mark.line + 1 if mark else 1, mark.column + 1 if mark else 1,
                          _remedy(data, fault.problem or "", mark.line if mark else 0)) from fault
    if rest is not None:
        rest += _rest(parser)
    return root


def _document(parser: Any) -> YamlNode:
    """Build the tree out of the events up to the end of the document."""
    anchors: dict[str, YamlNode] = {}
    open_nodes: list[YamlNode] = []
    waiting: list[list[YamlNode]] = []  # keys of maps whose value comes next, one list per open node
    root: YamlNode | None = None
    while True:
        event = parser.get_event()
        kind = type(event)
        if kind is events.ScalarEvent:
            mark = event.start_mark
            node = YamlNode(SCALAR, event.value, mark.line + 1, mark.column + 1, tag=event.tag, plain=not event.style)
        elif kind is events.MappingStartEvent or kind is events.SequenceStartEvent:
            mark = event.start_mark
            node = YamlNode(MAPPING if kind is events.MappingStartEvent else SEQUENCE, [], mark.line + 1, mark.column + 1, tag=event.tag)
            if event.anchor:
                anchors[event.anchor] = node
            if len(open_nodes) >= MAX_DEPTH:
                raise YamlSyntaxError(f"nested deeper than {MAX_DEPTH} levels", node.line, node.column)
            open_nodes.append(node)
            waiting.append([])
            continue
        elif kind is events.AliasEvent:
            node = _alias(event, anchors, open_nodes)
        elif kind is events.DocumentEndEvent:
            assert root is not None
            return root
        else:
            node = open_nodes.pop()
            waiting.pop()
        if kind is events.ScalarEvent and event.anchor:
            anchors[event.anchor] = node
        if not open_nodes:
            root = node
        elif open_nodes[-1].kind is SEQUENCE:
            open_nodes[-1].value.append(node)
        elif waiting[-1]:
            open_nodes[-1].value.append((waiting[-1].pop(), node))
        else:
            waiting[-1].append(node)


def _rest(parser: Any) -> list[tuple[int, int]]:
    """Where the next document with content begins, if there is one."""
    try:
        event = parser.get_event()
        while isinstance(event, events.DocumentStartEvent):
            first = parser.get_event()
            if type(first) is not events.ScalarEvent or first.value:
                return [(event.start_mark.line + 1, event.start_mark.column + 1)]
            parser.get_event()
            event = parser.get_event()
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        return [(mark.line + 1, mark.column + 1)] if mark else []
    except ReaderError:
        pass
    return []


def _alias(event: Any, anchors: dict[str, YamlNode], open_nodes: list[YamlNode]) -> YamlNode:
    line, column = event.start_mark.line + 1, event.start_mark.column + 1
    target = anchors.get(event.anchor)
    if target is None:
        raise YamlSyntaxError("the alias names no anchor before it", line, column,  # its name may be a password without quotes (C5)
                          "write & and the same name at the value that is meant, further up; put a text that begins with * in quotes")
    if any(node is target for node in open_nodes):
        return YamlNode(LOOP, event.anchor, line, column, alias=True)
    return target.at(line, column)


def _place(data: bytes, position: int, encoding: str) -> tuple[int, int]:
    """Line and column of the byte at *position*."""
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff") or "16" in (encoding or "")
    before = data[:position].decode("utf-16" if wide else "utf-8-sig", "ignore")
    lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1


def _remedy(data: bytes, problem: str, line: int) -> str:
    """What to do about a syntax error, where the text itself tells."""
    lines = data.splitlines()
    text = lines[line] if line < len(lines) else b""
    if "\t" in text.decode("utf-8", "replace").split("#")[0].replace(text.decode("utf-8", "replace").lstrip(), ""):
        return "indent with blanks, never with tabs"
    if b"{{" in text:
        return "put a value that begins with {{ in quotes"
    if "block end" in problem or "expected key" in problem or "expected <block" in problem:
        return "look at the indentation and the quotes of this line and of the one before it"
    if "',' or ']'" in problem or "',' or '}'" in problem:
        return "close the bracket that is open before it"
    if "end of stream" in problem:
        return "close the quotes or the bracket that is open"
    return "look at the quotes, colons and indentation here"
