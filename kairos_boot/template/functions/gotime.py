"""Go's time.Time as templates see it: layouts, zones, durations in text, methods."""

from __future__ import annotations

import time

from kairos_boot.template.text import quote
from kairos_boot.template.values import Failure, GoObject, Int64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000_000_000
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CHUNKS = (
    "January", "-07:00:00", "Z07:00:00", "-070000", "Z070000", "-07:00", "Z07:00", "Monday", "_2006", "-0700", "Z0700", "2006", "Jan",
    "Mon", "MST", "002", "__2", "-07", "Z07", "01", "02", "03", "04", "05", "06", "15", "PM", "pm", "_2", "1", "2", "3", "4", "5",
)  # fmt: skip
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}


def zone_offset(zone: str, seconds: int) -> tuple[int, str]:
    """Seconds east of Greenwich and abbreviation of *zone* at *seconds* since 1970; `+hh:mm` is a zone of its own."""
    if zone in {"UTC", ""}:
        return 0, "UTC"
    if zone == "Local":
        try:
            local = time.localtime(seconds)
        except (OverflowError, ValueError, OSError):
            raise Failure(f"the time {seconds} is out of range") from None
        return local.tm_gmtoff, local.tm_zone
    if zone[0] in "+-":
        hours, _, minutes = zone[1:].partition(":")
        offset = (int(hours) * 3600 + int(minutes or 0) * 60) * (-1 if zone[0] == "-" else 1)
        return offset, zone.replace(":", "")
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    try:
        moment = datetime.fromtimestamp(min(max(seconds, -62135500000), 253402200000), UTC).astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        raise Failure(f"unknown time zone {zone}") from None
    offset_ = moment.utcoffset()
    return int(offset_.total_seconds()) if offset_ else 0, moment.tzname() or zone


class Time(GoObject):
    """A moment, in nanoseconds since 1970, seen from a zone."""

    __slots__ = ("nanoseconds", "zone")
    type_name = "time.Time"

    def __init__(self, nanoseconds: int, zone: str) -> None:
        self.nanoseconds = nanoseconds
        self.zone = zone

    def __str__(self) -> str:
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Time) and (self.nanoseconds, self.zone) == (other.nanoseconds, other.zone)

    def __hash__(self) -> int:
        return hash(self.nanoseconds)

    def moved(self, zone: str) -> Time:
        return Time(self.nanoseconds, zone)

    def civil(self) -> time.struct_time:
        """The fields of the calendar in the zone."""
        seconds = self.nanoseconds // SECOND
        try:
            return time.gmtime(seconds + zone_offset(self.zone, seconds)[0])
        except (OverflowError, ValueError, OSError):
            raise Failure(f"the time {seconds} is out of range") from None

    def format(self, layout: str) -> str:
        """The time as *layout* shows Go's reference time, Mon Jan 2 15:04:05 MST 2006."""
        civil, (offset, name) = self.civil(), zone_offset(self.zone, self.nanoseconds // SECOND)
        return "".join(_field(chunk, civil, self.nanoseconds % SECOND, offset, name) if known else chunk for known, chunk in chunks(layout))

    def methods(self) -> dict[str, tuple[str, Callable[..., object]]]:
        civil = self.civil()
        return {
            "Format": ("s", self.format), "String": ("", lambda: str(self)), "Unix": ("", lambda: Int64(self.nanoseconds // SECOND)),
            "UnixMilli": ("", lambda: Int64(self.nanoseconds // 1_000_000)), "UnixNano": ("", lambda: Int64(self.nanoseconds)),
            "Year": ("", lambda: civil.tm_year), "Month": ("", lambda: MONTHS[civil.tm_mon - 1]), "Day": ("", lambda: civil.tm_mday),
            "Hour": ("", lambda: civil.tm_hour), "Minute": ("", lambda: civil.tm_min), "Second": ("", lambda: civil.tm_sec),
            "Nanosecond": ("", lambda: self.nanoseconds % SECOND), "YearDay": ("", lambda: civil.tm_yday),
            "Weekday": ("", lambda: DAYS[civil.tm_wday]), "UTC": ("", lambda: self.moved("UTC")), "Local": ("", lambda: self.moved("Local")),
            "IsZero": ("", lambda: self.nanoseconds == -62135596800 * SECOND),
            "AddDate": ("iii", self.add_date), "After": ("t", lambda other: self.nanoseconds > other.nanoseconds),
            "Before": ("t", lambda other: self.nanoseconds < other.nanoseconds),
            "Equal": ("t", lambda other: self.nanoseconds == other.nanoseconds),
            "Sub": ("t", lambda other: duration_text(self.nanoseconds - other.nanoseconds)),
        }  # fmt: skip

    def add_date(self, years: int, months: int, days: int) -> Time:
        """The time that many years, months and days later, days past the end of a month running on."""
        civil = self.civil()
        moment = moment_of(civil.tm_year + years, civil.tm_mon + months, civil.tm_mday + days, civil.tm_hour, civil.tm_min, civil.tm_sec)
        return Time(local(moment, self.zone) * SECOND + self.nanoseconds % SECOND, self.zone)


def chunks(layout: str) -> list[tuple[bool, str]]:
    """The pieces of a layout; True with those that stand for a field."""
    out: list[tuple[bool, str]] = []
    place = 0
    while place < len(layout):
        found = next((c for c in _CHUNKS if layout.startswith(c, place)), "")
        after = layout[place + len(found) : place + len(found) + 1]
        if found in {"Jan", "Mon"} and after.islower():
            found = ""
        if layout[place] in ".," and layout[place + 1 : place + 2] in {"0", "9"}:
            end = place + 1
            while layout[end : end + 1] == layout[place + 1]:
                end += 1
            found = layout[place:end] if not layout[end : end + 1].isdecimal() else ""
        if found == "_2006":
            out.append((False, "_"))
            place, found = place + 1, "2006"
        out.append((bool(found), found or layout[place]))
        place += len(found) or 1
    return out


def _field(chunk: str, civil: time.struct_time, nanoseconds: int, offset: int, zone: str) -> str:
    hour = civil.tm_hour % 12 or 12
    if chunk[0] in ".,":
        digits = f"{nanoseconds:09d}"[: len(chunk) - 1].ljust(len(chunk) - 1, "0")
        if chunk[1] == "9":
            digits = digits.rstrip("0")
        return chunk[0] + digits if digits else ""
    if chunk[0] in "-Z":
        if chunk[0] == "Z" and not offset:
            return "Z"
        sign, rest = "-" if offset < 0 else "+", abs(offset)
        colon = ":" if ":" in chunk else ""
        text = f"{sign}{rest // 3600:02d}"
        if len(chunk) > 3:
            text += f"{colon}{rest // 60 % 60:02d}"
        return text + (f"{colon}{rest % 60:02d}" if len(chunk) > 6 else "")
    return {
        "January": MONTHS[civil.tm_mon - 1], "Jan": MONTHS[civil.tm_mon - 1][:3], "1": str(civil.tm_mon), "01": f"{civil.tm_mon:02d}",
        "Monday": DAYS[civil.tm_wday], "Mon": DAYS[civil.tm_wday][:3], "2": str(civil.tm_mday), "_2": f"{civil.tm_mday:2d}",
        "02": f"{civil.tm_mday:02d}", "__2": f"{civil.tm_yday:3d}", "002": f"{civil.tm_yday:03d}", "15": f"{civil.tm_hour:02d}",
        "3": str(hour), "03": f"{hour:02d}", "4": str(civil.tm_min), "04": f"{civil.tm_min:02d}", "5": str(civil.tm_sec),
        "05": f"{civil.tm_sec:02d}", "2006": f"{civil.tm_year:04d}", "06": f"{civil.tm_year % 100:02d}",
        "PM": "PM" if civil.tm_hour >= 12 else "AM", "pm": "pm" if civil.tm_hour >= 12 else "am", "MST": zone,
    }[chunk]  # fmt: skip


def moment_of(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """Seconds since 1970 of a time in UTC; fields beyond their range run on."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    if not -9999 <= year <= 99999:
        raise Failure(f"the year {year} is out of range")
    before = year - (month <= 2)
    days = 365 * before + before // 4 - before // 100 + before // 400 + (153 * (month + (9 if month <= 2 else -3)) + 2) // 5 + day - 719469
    return days * 86400 + hour * 3600 + minute * 60 + second


def local(moment: int, zone: str) -> int:
    """Seconds since 1970 of what the clock of *zone* shows as *moment* in UTC."""
    guess = moment - zone_offset(zone, moment)[0]
    return moment - zone_offset(zone, guess)[0]


def parse_duration(text: str) -> int:
    """Nanoseconds of a text such as `-1h15m30.5s`."""
    body = text[1:] if text[:1] in {"+", "-"} else text
    total, place = 0, 0
    if body == "0":
        return 0
    if not body or len(body) > 100:
        raise Failure(f"time: invalid duration {quote(text)}")
    while place < len(body):
        end = place
        while end < len(body) and body[end] in "0123456789.":
            end += 1
        number, place = body[place:end], end
        while end < len(body) and body[end] not in "0123456789.":
            end += 1
        unit, place = body[place:end], end
        whole, _, fraction = number.partition(".")
        if not (whole or fraction) or "." in fraction:
            raise Failure(f"time: invalid duration {quote(text)}")
        if unit not in _UNITS:
            raise Failure(f"time: unknown unit {quote(unit)} in duration {quote(text)}" if unit else f"time: missing unit in duration {quote(text)}")
        total += int(whole or 0) * _UNITS[unit] + int(fraction or 0) * _UNITS[unit] // 10 ** len(fraction)
    if total >= 1 << 63:
        raise Failure(f"time: invalid duration {quote(text)}")
    return -total if text.startswith("-") else total


def duration_text(nanoseconds: int) -> str:
    """Go's form of a duration: `1h0m5s`, `1.5s`, `20ms`."""
    sign, rest = "-" if nanoseconds < 0 else "", abs(nanoseconds)
    if rest < SECOND:
        for unit in ("ms", "µs", "ns"):
            if rest >= _UNITS[unit]:
                return f"{sign}{_fraction(rest, _UNITS[unit])}{unit}"
        return "0s"
    minutes, rest = divmod(rest, 60 * SECOND)
    text = _fraction(rest, SECOND) + "s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = (f"{hours}h" if hours else "") + f"{minutes}m{text}"
    return sign + text


def _fraction(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
