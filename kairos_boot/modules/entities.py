"""ensure_entities, delete_entities: lines of the account files (docs/reference/ensure_entities.md)."""

from __future__ import annotations

from kairos_boot.actions.accounts import is_entry, is_name
from kairos_boot.actions.base import Invalid, Note
from kairos_boot.actions.entities import COLUMNS, DeleteEntity, EnsureEntity
from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.cloudconfig.nodes import YamlNode
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "ensure_entities"
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz_")
PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./,- ")
NULLS = ("", "~", "null", "Null", "NULL")


def plan_ensure_entities(step: Step, facts: Facts) -> Plan:
    return _plan("ensure_entities", step, facts)


def plan_delete_entities(step: Step, facts: Facts) -> Plan:
    return _plan("delete_entities", step, facts)


def _plan(key: str, step: Step, facts: Facts) -> Plan:
    homes = tuple(user.homedir for user in step.users.values() if user.homedir.startswith("/"))
    action = EnsureEntity if key == "ensure_entities" else DeleteEntity
    for index, item in enumerate(step.ensure_entities if key == "ensure_entities" else step.delete_entities):
        where = step.where(key, index, "entity")
        try:
            values = parse(facts.render(item.entity, where, secret=True, needed=True))
            kind = values.pop("kind", "")
            unknown = _check(kind, values, item.path, is_name if key == "ensure_entities" else is_entry)
        except KairosError as error:
            yield Invalid(where, error.message, error.hint or "the entity was left out")
            continue
        except ValueError as error:
            yield Invalid(where, str(error), "an entity has a kind (user, shadow, group or gshadow) and the fields of that kind")
            continue
        for name in unknown:
            yield Note(where, f"unknown field of a {kind}: {name}", f"known are {', '.join(COLUMNS[kind])}")
        yield action(kind, values, item.path, where, homes)


def _check(kind: str, values: dict[str, str], path: str, fits: Callable[[str], bool]) -> list[str]:
    """Leave in *values* what an account file can hold, numbers in decimal; return the unknown keys. ValueError: one cannot be held."""
    if kind not in COLUMNS:
        raise ValueError(f"unsupported kind of entity: {kind!r}")
    if path and not path.startswith("/"):
        raise ValueError(f"not an absolute path: {path!r}")
    columns = COLUMNS[kind]
    if not fits(values.get(columns[0], "")):
        raise ValueError(f"{columns[0]} is not a name: {values.get(columns[0], '')!r}")
    unknown = [key for key in values if key not in columns and not (kind == "user" and key == "group")]
    for key in unknown:
        del values[key]
    for key, value in values.items():
        hashed = key == "password" and value[:1] not in ("$", "!")
        if any(c in value for c in "\n\0") or (":" in value and not hashed):
            raise ValueError(f"{key} must be one line without a colon")
        if key in ("uid", "gid") and value:
            values[key] = str(integer(value, key))
    return unknown


def integer(text: str, key: str) -> int:
    """A whole number as YAML writes it: decimal, 0644 or 0o644 octal, 0x, 0b. ValueError: it is none."""
    digits = text.lstrip("+-").replace("_", "").lower()
    try:
        octal = len(digits) > 1 and digits[0] == "0" and digits.isdecimal() and not set(digits) & {"8", "9"}
        value = int(digits, 8) if octal else int(digits, 10 if digits.isdecimal() else 0)
    except ValueError:
        raise ValueError(f"{key} is not a number: {text[:40]!r}") from None
    if value >= 0xFFFFFFFF:
        raise ValueError(f"{key} is too large: {text[:40]}")
    return -value if text.startswith("-") else value


def parse(text: str) -> dict[str, str]:
    """The fields of an entity's YAML text, scalars as they are written. ValueError: it is no mapping of scalars."""
    simple = _simple(text)
    return simple if simple is not None else _yaml(text)


def _simple(text: str) -> dict[str, str] | None:
    """The plain lines that entities are made of, read without the YAML parser (15 ms of a boot); None where it is needed."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if not line.strip() or line[0] == "#":
            continue
        key, colon, value = line.partition(":")
        value, gap = value.strip(" \r"), value[:1]
        if not colon or gap not in ("", " ") or not key or not LETTERS.issuperset(key) or key in found:
            return None
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
            if any(c in value for c in "\"'\\"):
                return None
        elif value and (not PLAIN.issuperset(value) or (not value[0].isalnum() and value[0] != "/") or value in NULLS):
            return None
        found[key] = value
    return found


def _yaml(text: str) -> dict[str, str]:
    from kairos_boot.cloudconfig.compose import compose
    from kairos_boot.cloudconfig.nodes import YamlSyntaxError

    rest: list[tuple[int, int]] = []
    try:
        node = compose(text.encode("utf-8", "surrogateescape"), rest)
    except YamlSyntaxError as fault:
        raise ValueError(f"the entity is not YAML, line {fault.line}: {fault.message.removeprefix('not YAML: ')}") from None
    if rest:
        raise ValueError(f"the entity is more than one YAML document, line {rest[0][0]}")
    return _fields(node)


def _fields(node: YamlNode | None) -> dict[str, str]:
    """The scalars of a YAML mapping; those that it merges in (`<<`) come first."""
    if node is None or node.kind != "map":
        raise ValueError("the entity is not a mapping")
    found: dict[str, str] = {}
    merged: dict[str, str] = {}
    for key, value in node.value:
        if key.value == "<<" and value.kind == "map":
            merged.update(_fields(value))
        elif key.kind != "text" or value.kind != "text":
            raise ValueError("a field of the entity is not one value" if key.kind != "text" else f"the field {key.value} is not one value")
        elif key.value in found:
            raise ValueError(f"the field {key.value} is given twice")
        else:
            found[key.value] = "" if value.plain and value.value in NULLS else value.value
    return {**merged, **found}
