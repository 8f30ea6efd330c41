"""YAML and JSON of metadata services as plain data: maps, lists, and text as it is written. Documents of ours are cloudconfig's."""

from __future__ import annotations

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEPTH = 100
"""Levels of maps and lists; libyaml's time grows with their square."""


def load(data: bytes) -> object:
    """The first document in *data*; every scalar is text, an empty document is None. KairosError: it is no YAML."""
    from yaml import YAMLError
    from yaml._yaml import CParser

    try:
        return _build(CParser(data))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise KairosError("not YAML" + (f" (line {mark.line + 1})" if mark else "")) from error


def _build(parser: Any) -> object:
    """Follow the parser's events with a stack of ours: libyaml's own loader recurses, and a deep document would end the process."""
    from yaml import events

    root: list[Any] = []
    todo: list[tuple[Any, list[Any]]] = [(None, root)]
    """The open collections: what they become, and the values that they have so far."""
    anchors: dict[str, Any] = {}
    while True:
        event = parser.get_event()
        if isinstance(event, (events.StreamStartEvent, events.DocumentStartEvent)):
            continue
        if isinstance(event, (events.StreamEndEvent, events.DocumentEndEvent)):
            return root[0] if root else None
        values = todo[-1][1]
        if isinstance(event, events.AliasEvent):
            values.append(anchors.get(event.anchor or ""))
        elif isinstance(event, events.ScalarEvent):
            values.append(event.value)
            if event.anchor:
                anchors[event.anchor] = event.value
        elif isinstance(event, events.CollectionStartEvent):
            made: Any = [] if isinstance(event, events.SequenceStartEvent) else {}
            values.append(made)
            if event.anchor:
                anchors[event.anchor] = made
            todo.append((made, []))
            if len(todo) > DEPTH:
                raise KairosError(f"not YAML of a metadata service: more than {DEPTH} levels")
        else:
            collection, items = todo.pop()
            if isinstance(collection, list):
                collection += items
            else:
                collection.update((key, value) for key, value in zip(items[::2], items[1::2], strict=False) if isinstance(key, str))
