"""The published JSON Schema accepts and rejects what the decoder does (issue: one source of truth)."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from kairos_boot.cloudconfig import model
from kairos_boot.cloudconfig.decode import decode
from kairos_boot.cloudconfig.schema import json_schema
from kairos_boot.cloudconfig.typed import fields

SCHEMA = json_schema()
CORPUS = Path(__file__).parents[3] / "shared/corpus"
TYPES = {"null": type(None), "boolean": bool, "string": str, "array": list, "object": dict}
WORDS = {"description", "title", "$schema", "$id", "definitions"}


def is_type(value: object, name: str) -> bool:
    if name in ("number", "integer"):
        return isinstance(value, (int, float) if name == "number" else int) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def valid(value: Any, schema: Mapping[str, Any]) -> bool:
    """Validate by draft 07, as far as our schema uses it; an unknown keyword is an error."""
    if "$ref" in schema:
        return valid(value, SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]])
    return all(_holds(value, keyword, rule, schema) for keyword, rule in schema.items() if keyword not in WORDS)


def _holds(value: Any, keyword: str, rule: Any, schema: Mapping[str, Any]) -> bool:
    number = is_type(value, "number")
    if keyword == "type":
        return any(is_type(value, name) for name in ([rule] if isinstance(rule, str) else rule))
    if keyword in ("anyOf", "allOf"):
        return (any if keyword == "anyOf" else all)(valid(value, below) for below in rule)
    if keyword == "enum":
        return any(type(value) is type(each) and value == each for each in rule)
    if keyword == "required":
        return not isinstance(value, dict) or all(key in value for key in rule)
    if keyword == "pattern":
        return not isinstance(value, str) or bool(re.search(rule, value))
    if keyword in ("minimum", "maximum", "exclusiveMaximum"):
        return not number or {"minimum": value >= rule, "maximum": value <= rule, "exclusiveMaximum": value < rule}[keyword]
    if keyword == "items":
        return not isinstance(value, list) or all(valid(item, rule) for item in value)
    if keyword in ("properties", "patternProperties"):
        return True  # together with additionalProperties
    assert keyword == "additionalProperties", keyword
    return not isinstance(value, dict) or all(_key(key, item, schema, rule) for key, item in value.items())


def _key(key: str, item: object, schema: Mapping[str, Any], rest: Any) -> bool:
    if key in schema.get("properties", {}):
        return valid(item, schema["properties"][key])
    if any(re.search(pattern, key) for pattern in schema.get("patternProperties", {})):
        return True
    return valid(item, rest) if isinstance(rest, dict) else bool(rest)


def accepted(document: object, header: str = "") -> bool:
    """Whether the decoder takes the document without an error or an unknown key."""
    loaded = decode((header + json.dumps(document, ensure_ascii=False) + "\n").encode(), "/d.yaml")
    return not any(p.severity in ("error", "warning") for p in loaded.problems)


SCALARS: tuple[object, ...] = (None, True, False, 0, 1, 7, 420, -1, 1.5, -0.5, 1e300, 1 << 40, 1 << 70, "", "x", "5", "0644", "0o600", "0999", "90s", "5m", "-5m", "soon", "true", "yes", "On", "oN",
                               "once", "stop-step", "~", "ü")
KEYS = ("path", "nmae", "permissions", "Name", "x-y", "")


def written(rng: random.Random, kind: str, depth: int = 0) -> object:
    """A value for an annotation that is mostly right, and sometimes anything."""
    kind = kind.removesuffix(" | None")
    if rng.random() < 0.06:
        return rng.choice((*SCALARS, [], {}, [[]], [None], {"a": 1}, ["x", {}]))
    if kind.startswith("tuple["):
        return [written(rng, kind[6:-6], depth + 1) for _ in range(rng.randint(0, 3))]
    if kind.startswith("Mapping[str, "):
        return {rng.choice("abcde"): written(rng, kind[13:-1], depth + 1) for _ in range(rng.randint(0, 2))}
    if isinstance(getattr(model, kind, None), type):
        known = list(fields(getattr(model, kind)).items())
        chosen = {key: written(rng, below, depth + 1) for key, (_, below) in rng.sample(known, min(len(known), rng.randint(0, 4)))}
        return {**chosen, rng.choice(KEYS): rng.choice(SCALARS)} if rng.random() < 0.04 else chosen
    right: dict[str, Sequence[object]] = {"str": SCALARS, "int": (0, 5, -1, 1.5), "Count": (0, 5), "Id": (0, 5, -1), "bool": (True, False, "yes"), "Mode": (420, "0644", 0), "Size": (0, 64), "Seconds": (5, "5m"),
                                          "Frequency": ("once", "always"), "OnFailure": ("continue",)}
    return rng.choice(right[kind] if rng.random() < 0.9 else SCALARS)


@pytest.mark.parametrize("seed", range(40))
def test_generated_documents_are_judged_alike(seed: int) -> None:
    rng = random.Random(seed)
    verdicts = []
    for _ in range(100):
        document: dict[str, object] = {"stages": {"s": [written(rng, "Step") for _ in range(rng.randint(0, 2))]}}
        if rng.random() < 0.1:
            document |= rng.choice(({"name": rng.choice(SCALARS)}, {"jobs": rng.choice((1, 4, "x", 0))}, {"nmae": 1}, {"x-a": [{}]}))
        verdict = accepted(document)
        verdicts.append(verdict)
        assert valid(document, SCHEMA) is verdict, json.dumps(document)
    assert {True, False} <= set(verdicts)


CLASSIC: tuple[object, ...] = (
    {"hostname": "x", "fqdn": 5, "runcmd": ["a", ["b", 1], None], "bootcmd": [["x"]]},
    {"users": ["ada", {"name": "bob", "groups": "a, b", "sudo": ["x"], "lock_passwd": False, "hashed_passwd": "x", "ssh_import_id": "gh:x", "no-create-home": True, "inactive": "5"}]},
    {"users": {"ada": None, "bob": {"uid": 5}}}, {"users": "ada"}, {"groups": ["a", {"b": ["c"]}]}, {"groups": "a, b"}, {"groups": {"a": "b"}},
    {"write_files": [{"path": "/a", "permissions": "0644", "append": True, "source": {"uri": "http://h"}}, None]}, {"ntp": None}, {"ntp": {"servers": ["a"], "enabled": "yes"}},
    {"packages": ["a", ["b", "1"], {"apt": ["c"]}], "package_update": True}, {"growpart": {"mode": "auto", "devices": ["/"]}}, {"timezone": "Europe/Rome"}, {"x-a": 1, "install": {"auto": True}},
    {"ssh_authorized_keys": ["k"], "mounts": [["a", "b"]], "ssh_pwauth": True},
    {"hostname": ["x"]}, {"runcmd": "x"}, {"runcmd": [{"a": "b"}]}, {"users": [{"uid": 5}]}, {"users": [{"name": "a", "shel": "x"}]}, {"users": [["a"]]}, {"users": [{"name": "a", "sudo": True}]},
    {"write_files": [{"content": "x"}]}, {"write_files": [{"path": "/a", "permissions": "rwx"}]}, {"write_files": [{"path": "/a", "contents": "x"}]}, {"write_files": {"path": "/a"}},
    {"ntp": "x"}, {"ntp": {"server": "x"}}, {"packages": "vim"}, {"growpart": "on"}, {"growpart": {"mod": "off"}}, {"timezone": "../x"}, {"timezone": "a;b"}, {"run_cmd": ["x"]},
    {"stages": {"s": [{"commands": "x"}]}},
    {"disk_setup": {"/dev/vdb": {"layout": True, "table_type": "gpt"}}, "fs_setup": [{"device": "/dev/vdb", "label": "x"}]}, {"disk_setup": {"/dev/vdb": {"layouts": True}}},
    {"fs_setup": {"device": "x"}}, {"disk_setup": {"/dev/vdb": {"layout": {}}}}, {"fs_setup": [{"device": [1]}]},
)


@pytest.mark.parametrize("document", CLASSIC, ids=json.dumps)
def test_classic_documents_are_judged_alike(document: object) -> None:
    assert valid(document, SCHEMA) is accepted(document, "#cloud-config\n")


def paths() -> list[Path]:
    return sorted(p for p in CORPUS.glob("*/*") if p.suffix in (".yaml", ".yml"))


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the published configurations are not here")
@pytest.mark.parametrize("path", paths(), ids=lambda p: p.name)
def test_published_documents_are_judged_alike(path: Path) -> None:
    loaded = decode(path.read_bytes(), "/d.yaml")
    verdict = not any(p.severity in ("error", "warning") for p in loaded.problems)
    try:
        document = next(iter(yaml.load_all(path.read_bytes(), yaml.CSafeLoader)), None)
    except yaml.YAMLError:
        assert not verdict
        return
    assert valid(json.loads(json.dumps(document, default=str)), SCHEMA) is verdict


def test_the_stages_are_offered_with_their_moment() -> None:
    """An editor completes the names that something emits, and any other name stays allowed."""
    stages = SCHEMA["properties"]["stages"]
    assert {"rootfs.before", "boot", "network.after", "after-install-chroot"} <= set(stages["properties"])
    assert all(len(below["description"]) > 20 for below in stages["properties"].values())
    assert SCHEMA["$id"]
    assert valid({"stages": {"mine": [{"commands": ["a"]}]}}, SCHEMA)
    assert not valid({"stages": {"boot": [{"comands": ["a"]}]}}, SCHEMA)


def keys(schema: object, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each key that a map of the schema may have, with its schema."""
    if isinstance(schema, dict):
        for key, below in schema.items():
            if key == "properties" and isinstance(below, dict):
                yield from ((f"{place}/{name}", each) for name, each in below.items())
            yield from keys(below, f"{place}/{key}")
    elif isinstance(schema, list):
        for below in schema:
            yield from keys(below, place)


def test_every_key_of_every_map_is_described() -> None:
    """Of the 250 keys none is bare in an editor, and no record is a choice between itself and null."""
    found = list(keys(SCHEMA))
    assert len(found) > 200
    assert [place for place, below in found if not below.get("description")] == []
    assert [place for place, below in found if {"type": "null"} in below.get("anyOf", []) and any("$ref" in each for each in below["anyOf"]) and len(below["anyOf"]) == 2] == []


def test_every_key_is_described() -> None:
    """An editor has something to show for each key of a step, and for each record."""
    for key, below in SCHEMA["definitions"]["Step"]["properties"].items():
        shown = below.get("description") or SCHEMA["definitions"][below["anyOf"][0]["$ref"].rsplit("/", 1)[1]]["description"]
        assert len(shown) > 10, key
    assert all(d["description"] for name, d in SCHEMA["definitions"].items() if name != "ClassicGroups")
    assert all(json.dumps(SCHEMA).count(f'"#/definitions/{name}"') for name in SCHEMA["definitions"])
