"""sprig: times, read and printed with Go's layouts (`2006-01-02 15:04:05`)."""

from __future__ import annotations

import time

from kairos_boot.template.functions.gotime import Time, duration_text, parse_duration, zone_offset
from kairos_boot.template.functions.timeparse import parse_time
from kairos_boot.template.values import Failure

_SECOND = 1_000_000_000
_UNITS = ((365 * 24 * 3600, "y"), (30 * 24 * 3600, "mo"), (24 * 3600, "d"), (3600, "h"), (60, "m"), (1, "s"))


def now() -> Time:
    return Time(time.time_ns(), "Local")


def as_time(value: object) -> Time:
    """A time as it is, a number as seconds since 1970, anything else as now."""
    if isinstance(value, Time):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Time(int(value) * _SECOND, "Local")
    return now()


def date(layout: str, value: object) -> str:
    return as_time(value).moved("Local").format(layout)


def date_in_zone(layout: str, value: object, zone: str) -> str:
    """*value* in *zone*; in UTC if there is no such zone."""
    moment = as_time(value)
    try:
        zone_offset(zone, 0)
    except Failure:
        zone = "UTC"
    return moment.moved(zone or "UTC").format(layout)


def modify(change: str, moment: Time) -> Time:
    """*moment* moved by a duration such as `-1.5h`; unchanged if that is none."""
    try:
        return must_modify(change, moment)
    except Failure:
        return moment


def must_modify(change: str, moment: Time) -> Time:
    return Time(moment.nanoseconds + parse_duration(change), moment.zone)


def ago(value: object) -> str:
    """How long ago, in whole seconds."""
    return duration_text((now().nanoseconds - as_time(value).nanoseconds + _SECOND // 2) // _SECOND * _SECOND)


def _whole(value: object) -> int:
    """Seconds, a duration in text, or a time (how long ago) in nanoseconds; 0 for anything else."""
    if isinstance(value, Time):
        return now().nanoseconds - value.nanoseconds
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except Failure:
            return 0
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else 0


def duration(value: object) -> str:
    """Seconds as a duration: 95 is `1m35s`."""
    if isinstance(value, str):
        try:
            value = int(value) if value.strip() == value and "_" not in value else 0
        except ValueError:
            value = 0
    return duration_text(int(value) * _SECOND if isinstance(value, int) and not isinstance(value, bool) else 0)


def duration_round(value: object) -> str:
    """The largest unit alone: `2h10m5s` is `2h`."""
    length = abs(_whole(value))
    for seconds, name in _UNITS:
        if length > seconds * _SECOND:
            return f"{length // (seconds * _SECOND)}{name}"
    return "0s"


def to_date(layout: str, text: str) -> Time:
    """The time that *text* is; Go's zero time if it does not fit *layout*."""
    try:
        return parse_time(layout, text, "Local")
    except Failure:
        return Time(-62135596800 * _SECOND, "UTC")


FUNCTIONS = {
    "now": ("", now), "date": ("sa", date), "date_in_zone": ("sas", date_in_zone), "dateInZone": ("sas", date_in_zone),
    "date_modify": ("st", modify), "dateModify": ("st", modify), "must_date_modify": ("st", must_modify),
    "mustDateModify": ("st", must_modify), "ago": ("a", ago), "duration": ("a", duration), "durationRound": ("a", duration_round),
    "htmlDate": ("a", lambda value: date("2006-01-02", value)),
    "htmlDateInZone": ("as", lambda value, zone: date_in_zone("2006-01-02", value, zone)),
    "unixEpoch": ("t", lambda moment: str(moment.nanoseconds // _SECOND)), "toDate": ("ss", to_date),
    "mustToDate": ("ss", lambda layout, text: parse_time(layout, text, "Local")),
}  # fmt: skip
