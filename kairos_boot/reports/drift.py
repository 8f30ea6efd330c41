"""drift: what steps of a boot declared and is otherwise now, as stage reconcile found it last."""

from __future__ import annotations

from kairos_boot.reports.history import number
from kairos_boot.reports.text import count, place, seconds
from kairos_boot.shown import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kairos_boot.reports.history import Boot

NEVER = "nothing was compared yet: stage reconcile does, 5 min after the start and then every 60 min, or `systemctl start cos-setup-reconcile`"


def as_text(boot: Boot, now: float) -> list[str]:
    """The lines for people; *now* is the time in seconds since the epoch."""
    last = boot.drift
    if last is None:
        return [NEVER]
    things = count(_whole(last, "things"), "thing")
    when = f"{seconds(max(0.0, now - number(last, 'time')))} ago, " if not boot.ago else ""
    found = _whole(last, "differences")
    lines = [(f"{'DRIFT: ' + count(found, 'difference') if found else 'NO DRIFT'}: {things} of {count(_whole(last, 'steps'), 'step')} compared {when}"
             f"+{seconds(number(last, 'uptime'))} after the start")]
    for item in boot.differences:
        lines += [f"  {_text(item, 'path')}: wanted {_text(item, 'wanted')}, found {_text(item, 'found')}",
                  f"      in stage {_text(item, 'stage')}, step {_text(item, 'step')}, {_text(item, 'module')}", f"      {_text(item, 'where')}"]
    if found > len(boot.differences):
        lines.append(f"  … {found - len(boot.differences)} more")
    again, left, changed = _names(last, "again"), _names(last, "left"), _names(last, "changed")
    if again:
        lines.append(f"  run again, since their documents say `reconcile: true`: {', '.join(again)}")
    if left:
        lines.append(f"  not run again, since their `frequency` leaves them out: {', '.join(left)}")
    if found and not again and not left:
        lines.append("  nothing was repaired: the next boot makes it so again, or `reconcile: true` at the root of the document")
    if changed:
        lines.append(f"  not compared, since changed in this boot: {', '.join(changed)}")
    return lines


def in_short(boot: Boot) -> list[str]:
    """The line of `status`."""
    found = _whole(boot.drift, "differences") if boot.drift else 0
    return [f"  drift: {count(found, 'difference')} from what this boot declared; kairos-boot status --drift lists them", ""] if found else []


def as_data(boot: Boot) -> dict[str, Any]:
    """The same for programs. `compared` is null where nothing was; times are in seconds, `uptime` since the kernel started."""
    last = boot.drift
    return {
        "boot": {"id": boot.boot_id, "ago": boot.ago},
        "compared": None if last is None else {
            "time": number(last, "time"), "uptime": number(last, "uptime"), "duration": number(last, "duration"), "steps": _whole(last, "steps"),
            "things": _whole(last, "things"), "differences": _whole(last, "differences"), "again": _names(last, "again"), "left": _names(last, "left"), "changed": _names(last, "changed")},
        "differences": [{**{k: v for k, v in item.items() if k not in ("kind", "time", "uptime")}, **place(str(item.get("where", "")))} for item in boot.differences],
    }


def _whole(record: Mapping[str, Any], name: str) -> int:
    return int(number(record, name))


def _names(record: Mapping[str, Any], name: str) -> list[str]:
    value = record.get(name)
    return [one_line(str(entry)) for entry in value] if isinstance(value, list) else []


def _text(record: Mapping[str, Any], name: str) -> str:
    return one_line(str(record.get(name, "")))
