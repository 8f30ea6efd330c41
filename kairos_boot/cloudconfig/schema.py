"""The JSON Schema of a cloud-config, written from the model, so that an editor and the decoder agree (draft 07).

A schema sees values, not their spelling: what the decoder tells apart by quotes (a number in quotes) is told apart here
by type. It cannot see the line #cloud-config either, so it knows the classic keys in every document.
"""

from __future__ import annotations

from kairos_boot.cloudconfig import model
from kairos_boot.cloudconfig.catalog import STAGES, SUBSTAGES
from kairos_boot.cloudconfig.roots import NOT_HERE, SECTIONS
from kairos_boot.cloudconfig.schema_classic import BOOLEAN, NULL, TEXT, classic
from kairos_boot.cloudconfig.schema_words import STEP, describe
from kairos_boot.cloudconfig.typed import ALIASES, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Schema = dict[str, Any]

ID = "urn:kairos-boot:cloud-config"
KINDS: dict[str, Schema] = {
    "str": TEXT,
    "int": {"type": ["number", "null"], "minimum": -(1 << 63), "maximum": (1 << 63) - 1},
    "Count": {"type": ["number", "null"], "minimum": 0, "maximum": 1_000_000},
    "Id": {"type": ["number", "null"], "minimum": -1, "maximum": (1 << 32) - 2},
    "bool": BOOLEAN,
    "Mode": {"description": 'Permission bits: 0644, or the octal text "0644".',
             "anyOf": [{"type": "number", "minimum": 0, "maximum": (1 << 32) - 1}, {"type": "string", "pattern": "^(0o)?[0-7]{1,5}$"}, NULL]},
    "Size": {"type": ["number", "null"], "minimum": 0, "maximum": (1 << 64) - 1, "description": "A number of MiB."},
    "Seconds": {"description": "A time limit: seconds, or text such as 90s or 5m; 0 is none.",
                "anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 10**12},
                          {"type": "string", "pattern": r"^\s*(([0-9]+\.?[0-9]*|\.[0-9]+)(ms|s|m|h))+\s*$|^([0-9]+\.?[0-9]*|\.[0-9]+)$"}, NULL]},
    "Frequency": {"enum": ["always", "once", "once-per-image", "on-change", None]},
    "OnFailure": {"enum": ["continue", "stop-step", "stop-stage", None]},
}


def json_schema() -> Schema:
    definitions: dict[str, Schema] = {}
    step = _kind("Step", definitions)
    for key, text in STEP.items():
        below = definitions["Step"]["properties"][key]
        definitions["Step"]["properties"][key] = {"description": text, **({"allOf": [below]} if "$ref" in below else below)}
    definitions["Steps"] = {"description": "The steps of a stage, in their order.", "type": ["array", "null"], "items": step}
    keys = {
        "name": {**TEXT, "description": "The first part of the names of the document's steps; without it, its path."},
        "stages": {"description": "The steps of each stage, by the stage's name.", "type": ["object", "null"],
                   "properties": {name: {"description": text, "allOf": [{"$ref": "#/definitions/Steps"}]} for name, text in _stages()},
                   "additionalProperties": {"$ref": "#/definitions/Steps"}},
        "jobs": {"type": ["number", "null"], "minimum": 1, "description": "How many steps of a layer may overlap."},
        "reconcile": {**BOOLEAN, "description": "Whether steps from which the node has drifted away run again in stage reconcile."},
        **{key: {"description": "Read by Kairos, its providers or its bundles."} for key in sorted(SECTIONS)},
        **{key: {"description": f"A key of cloud-init without a meaning here{'; ' + hint if hint else ''}."} for key, hint in NOT_HERE.items()},
        **classic(definitions),
    }
    schema: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": "cloud-config of kairos-boot",
        "type": ["object", "null"],
        "properties": keys,
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
        "definitions": dict(sorted(definitions.items())),
    }
    describe(schema)
    return schema


def _stages() -> Iterator[tuple[str, str]]:
    """The stages that an editor offers, with their substages, and when they run."""
    for stage in STAGES:
        for suffix in SUBSTAGES:
            when = {"": "", ".before": "Before it: ", ".after": "After it: "}[suffix]
            yield stage.name + suffix, f"{when}{stage.moment} ({stage.emitter})."


def _kind(kind: str, definitions: dict[str, Schema]) -> Schema:
    """The schema of an annotation of the model; a record becomes a definition."""
    kind = kind.removesuffix(" | None")
    if kind in KINDS:
        return dict(KINDS[kind])
    if kind.startswith("tuple["):
        item = _kind(kind[6:-6], definitions)
        return {"type": ["array", "null"], "items": item}
    if kind.startswith("Mapping[str, "):
        item = _kind(kind[13:-1], definitions)
        return {"type": ["object", "null"], "additionalProperties": item}
    if kind not in definitions:
        definitions[kind] = {}
        definitions[kind] = _record(getattr(model, kind), definitions)
    return {"$ref": f"#/definitions/{kind}"}


def _record(cls: type, definitions: dict[str, Schema]) -> Schema:
    keys = {}
    for key, (_, kind) in fields(cls).items():
        keys[key] = _kind(kind, definitions)
    for alias, key in ALIASES.items():
        if key in keys:
            keys[alias] = keys[key]
    return {"description": " ".join((cls.__doc__ or "").split()), "type": ["object", "null"], "properties": keys, "additionalProperties": False}
