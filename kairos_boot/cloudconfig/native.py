"""Native documents: `name`, `jobs`, `reconcile` and the steps of `stages` (docs/reference/document.md)."""

from __future__ import annotations

from kairos_boot.cloudconfig.catalog import suggest
from kairos_boot.cloudconfig.model import Document
from kairos_boot.cloudconfig.nodes import MAPPING, SCALAR
from kairos_boot.cloudconfig.roots import CLASSIC, SECTIONS, needs_header
from kairos_boot.cloudconfig.scalars import is_null
from kairos_boot.cloudconfig.typed import ABSENT, Decoder, NestingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.cloudconfig.nodes import YamlNode

ROOT = ("name", "stages", "jobs", "reconcile")


def decode_root(root: YamlNode | None, source: str) -> Document:
    if root is None or (root.kind is SCALAR and is_null(root)):
        return Document(source, source)
    decoder = Decoder(source)
    values: dict[str, Any] = {"name": "", "jobs": 0, "stages": {}, "reconcile": False}
    try:
        if root.kind is not MAPPING:
            decoder.error(root, "", f"a document is a map of `stages:` and other keys, not a {root.kind}", "begin it with `stages:`")
        else:
            for key, item in decoder.pairs(root, ""):
                if key.value in ROOT:
                    values[key.value] = _root_value(decoder, key, item) or values[key.value]
                else:
                    _unknown(decoder, key)
    except NestingError:
        decoder.error(root, "", "aliases make far more values than the document has", "write the values out")
    except RecursionError:
        decoder.error(root, "", "merged maps are nested too deeply", "write the values out")
    if decoder.broken:
        return Document(source, values["name"] or source, problems=tuple(decoder.problems), broken=True)
    return Document(source, values["name"] or source, values["stages"], tuple(decoder.problems), values["jobs"], reconcile=values["reconcile"])


def _root_value(decoder: Decoder, key: YamlNode, item: YamlNode) -> Any:
    if key.value == "stages":
        return decode_stages(decoder, item)
    if key.value == "jobs":
        return jobs(decoder, item)
    if key.value == "reconcile":
        return reconcile(decoder, item)
    value = decoder.value(item, "str", "name", {}, "")
    return None if value is ABSENT else value


def jobs(decoder: Decoder, item: YamlNode) -> int:
    """How many steps of a layer may overlap; 0 where the document does not say."""
    value = decoder.value(item, "int", "jobs", {}, "")
    if value is not ABSENT and value < 1:
        decoder.error(item, "jobs", f"{value} is no number of jobs", "write 1 or more")
    return 0 if value is ABSENT else int(value)


def reconcile(decoder: Decoder, item: YamlNode) -> bool:
    """Whether drifted steps of the document run again; they do not where it does not say."""
    return decoder.value(item, "bool", "reconcile", {}, "") is True


def _unknown(decoder: Decoder, key: YamlNode) -> None:
    """Warn of a root key that nothing reads."""
    if key.value in CLASSIC:  # `users` are in both: without the line nobody makes them
        decoder.warn(key, key.value, *needs_header(key.value))
    elif key.value not in SECTIONS and not key.value.startswith("x-"):
        decoder.unknown(key, key.value, (*ROOT, *SECTIONS))


def decode_stages(decoder: Decoder, node: YamlNode) -> dict[str, tuple[dict[str, Any], ...]]:
    """The stages of a document: a name to the plain forms of its steps, each with its marks and its keys."""
    stages: dict[str, tuple[dict[str, Any], ...]] = {}
    if node.kind is SCALAR and is_null(node):
        return stages
    if node.kind is not MAPPING:
        decoder.error(node, "stages", f"a map of stage names belongs here, not a {node.kind}", "write `stages:`, below it the stage's name, below that its steps")
        return stages
    for key, item in decoder.pairs(node, "stages"):
        if is_null(key):
            continue
        path = f"stages.{key.value}"
        meant = suggest(key.value) if decoder.guesses() else ""
        if meant:
            decoder.warn(key, path, f"no stage is called {key.value!r}: its steps would never run", f"did you mean {meant!r}?")
        if item.kind is SCALAR and is_null(item):
            stages[key.value] = ()
            continue
        decoded = decoder.value(item, "tuple[Step, ...]", path, {}, "")
        stages[key.value] = () if decoded is ABSENT else decoded
    return stages

