"""Times read by a Go layout."""

from __future__ import annotations

from kairos_boot.template.functions.gotime import DAYS, MONTHS, SECOND, Time, chunks, local, moment_of
from kairos_boot.template.text import quote
from kairos_boot.template.values import Failure

_NUMBERS = {
    "1": ("month", 1, 2), "01": ("month", 2, 2), "2": ("day", 1, 2), "_2": ("day", 1, 2), "02": ("day", 2, 2), "15": ("hour", 2, 2),
    "3": ("hour", 1, 2), "03": ("hour", 2, 2), "4": ("minute", 1, 2), "04": ("minute", 2, 2), "5": ("second", 1, 2),
    "05": ("second", 2, 2), "2006": ("year", 4, 4), "06": ("year", 2, 2), "002": ("yearday", 3, 3), "__2": ("yearday", 1, 3),
}  # fmt: skip
_RANGES = {"month": (1, 12), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}


class _Text:
    """The text being read, and how far."""

    __slots__ = ("at", "layout", "text")

    def __init__(self, layout: str, text: str) -> None:
        self.layout = layout
        self.text = text
        self.at = 0

    def fault(self, chunk: str) -> Failure:
        """The error of a text that does not show *chunk* where it should."""
        whole, layout = quote(self.text), quote(self.layout)
        return Failure(f"parsing time {whole} as {layout}: cannot parse {quote(self.text[self.at :])} as {quote(chunk)}")

    def number(self, chunk: str, least: int, most: int) -> int:
        """A number of *least* to *most* digits."""
        end = self.at
        while end < len(self.text) and end - self.at < most and "0" <= self.text[end] <= "9":
            end += 1
        if end - self.at < least:
            raise self.fault(chunk)
        value, self.at = int(self.text[self.at : end]), end
        return value

    def name(self, chunk: str, names: tuple[str, ...]) -> int:
        """The place of the name in *names* that stands here, in any case."""
        for place, name in enumerate(names):
            if self.text[self.at : self.at + len(name)].lower() == name.lower():
                self.at += len(name)
                return place
        raise self.fault(chunk)

    def offset(self, chunk: str) -> int:
        """Seconds east of Greenwich."""
        if chunk[0] == "Z" and self.text[self.at : self.at + 1] == "Z":
            self.at += 1
            return 0
        sign = self.text[self.at : self.at + 1]
        if sign not in {"+", "-"}:
            raise self.fault(chunk)
        self.at += 1
        total = self.number(chunk, 2, 2) * 3600
        for size in (60, 1)[: (len(chunk.replace(":", "")) - 3) // 2]:
            if ":" in chunk:
                if self.text[self.at : self.at + 1] != ":":
                    raise self.fault(chunk)
                self.at += 1
            total += self.number(chunk, 2, 2) * size
        return -total if sign == "-" else total


def fields(layout: str, text: str) -> dict[str, int]:
    """The numbers of *text*: year to nanosecond, and `offset` if a zone is given."""
    reader = _Text(layout, text)
    found = {"year": 0, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "nanosecond": 0}
    afternoon = -1
    for known, chunk in chunks(layout):
        if not known:
            if reader.text[reader.at : reader.at + 1] != chunk:
                raise reader.fault(chunk)
            reader.at += 1
        elif chunk in _NUMBERS:
            name, least, most = _NUMBERS[chunk]
            while chunk[0] == "_" and reader.text[reader.at : reader.at + 1] == " ":
                reader.at += 1
            found[name] = reader.number(chunk, least, most)
            if chunk == "06":
                found[name] += 1900 if found[name] >= 69 else 2000
            low, high = _RANGES.get(name, (0, 99999))
            if not low <= found[name] <= high:
                raise Failure(f"parsing time {quote(text)}: {name} out of range")
            if name == "second" and reader.text[reader.at : reader.at + 1] == "." and layout.find("." + "0", 0) < 0:
                _fraction(reader, found)
        elif chunk in {"January", "Jan"}:
            found["month"] = 1 + reader.name(chunk, MONTHS if chunk == "January" else tuple(m[:3] for m in MONTHS))
        elif chunk in {"Monday", "Mon"}:
            reader.name(chunk, DAYS if chunk == "Monday" else tuple(d[:3] for d in DAYS))
        elif chunk in {"PM", "pm"}:
            afternoon = reader.name(chunk, ("AM", "PM"))
        elif chunk == "MST":
            _zone_name(reader, found)
        elif chunk[0] in "-Z":
            found["offset"] = reader.offset(chunk)
        else:
            _fraction(reader, found, 0 if chunk[1] == "9" else len(chunk) - 1)
    if reader.at < len(text):
        raise Failure(f"parsing time {quote(text)}: extra text: {quote(text[reader.at :])}")
    if afternoon >= 0:
        found["hour"] = found["hour"] % 12 + 12 * afternoon
    if "yearday" in found:
        found["month"], found["day"] = 1, found["yearday"]
    elif not 1 <= found["day"] <= _days(found["year"], found["month"]):
        raise Failure(f"parsing time {quote(text)}: day out of range")
    return found


def _days(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 28 + leap if month == 2 else 30 if month in {4, 6, 9, 11} else 31


def _fraction(reader: _Text, found: dict[str, int], exact: int = 0) -> None:
    """Digits behind a dot or comma; *exact* many, or as many as there are, even none at all."""
    if reader.text[reader.at : reader.at + 1] not in {".", ","}:
        if exact:
            raise reader.fault("." + "0" * exact)
        return
    end = reader.at + 1
    while end < len(reader.text) and "0" <= reader.text[end] <= "9":
        end += 1
    digits = reader.text[reader.at + 1 : end]
    if not digits or (exact and len(digits) != exact):
        raise reader.fault("." + "0" * (exact or 1))
    found["nanosecond"] = int(digits[:9].ljust(9, "0"))
    reader.at = end


def _zone_name(reader: _Text, found: dict[str, int]) -> None:
    end = reader.at
    while end < len(reader.text) and reader.text[end].isascii() and reader.text[end].isupper():
        end += 1
    name = reader.text[reader.at : end]
    if not 3 <= len(name) <= 5:
        raise reader.fault("MST")
    if name in {"UTC", "GMT"}:
        found.setdefault("offset", 0)
    reader.at = end


def parse_time(layout: str, text: str, zone: str) -> Time:
    """The time that *text* shows in *layout*, in *zone* if it names none."""
    found = fields(layout, text)
    moment = moment_of(found["year"], found["month"], found["day"], found["hour"], found["minute"], found["second"])
    if "offset" in found:
        offset = found["offset"]
        sign = "-" if offset < 0 else "+"
        name = f"{sign}{abs(offset) // 3600:02d}:{abs(offset) // 60 % 60:02d}" if offset else "UTC"
        return Time((moment - offset) * SECOND + found["nanosecond"], name)
    return Time(local(moment, zone) * SECOND + found["nanosecond"], zone)
