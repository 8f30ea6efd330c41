"""The sprig functions for times and durations, as sprig 3.3 has them."""

from __future__ import annotations

import calendar
import os
import time

import pytest

from kairos_boot.template import TemplateError, render

PRINTS = [
    ('{{ htmlDateInZone 0 "UTC" }}', "1970-01-01"),
    ('{{ dateInZone "2006" 0 "Nope/Zone" }}', "1970"),
    ('{{ date "Monday, 02-Jan-06 Month Janet" 1136214245 }}', "Monday, 02-Jan-06 Month Janet"),
    ('{{ toDate "2006-01-02" "2020-05-06" | date "Jan 2, 2006" }}', "May 6, 2020"),
    ('{{ toDate "2006-01-02" "x" }}', "0001-01-01 00:00:00 +0000 UTC"),
    ('{{ (toDate "2006-01-02" "2020-02-29").Year }}', "2020"),
    ('{{ toDate "2006-01-02" "2021-02-29" }}', "0001-01-01 00:00:00 +0000 UTC"),
    ('{{ duration "95" }}', "1m35s"),
    ('{{ duration "3600" }}', "1h0m0s"),
    ('{{ duration "0" }}', "0s"),
    ('{{ duration "x" }}', "0s"),
    ("{{ duration (int64 90) }}", "1m30s"),
    ('{{ durationRound "2h10m5s" }}', "2h"),
    ('{{ durationRound "2400h10m5s" }}', "3mo"),
    ('{{ durationRound "60s" }}', "60s"),
    ('{{ durationRound "61s" }}', "1m"),
    ('{{ durationRound "500ms" }}', "0s"),
    ('{{ durationRound "-3h5m" }}', "3h"),
    ('{{ durationRound "8761h" }}', "1y"),
    ('{{ durationRound "bad" }}', "0s"),
    ('{{ duration "-95" }}', "-1m35s"),
    ("{{ durationRound (int64 5000000001) }}", "5s"),
    ('{{ duration "100000" }}', "27h46m40s"),
    ('{{ toDate "Jan 2, 2006 at 3:04pm (MST)" "Feb 3, 2013 at 7:54pm (UTC)" }}', "2013-02-03 19:54:00 +0000 UTC"),
    ('{{ toDate "2006-01-02 -0700" "2020-01-01 -0330" }}', "2020-01-01 00:00:00 -0330 -0330"),
]

FAILS = [
    (
        '{{ mustToDate "2006-01-02" "2021-02-29" }}',
        'template: template:1:3: executing "template" at <mustToDate "2006-01-02" "2021-02-29">: error calling mustToDate: parsing time "2021-02-29": day out of range',
    ),
    (
        '{{ mustToDate "2006-01-02" "2021-2-29" }}',
        'template: template:1:3: executing "template" at <mustToDate "2006-01-02" "2021-2-29">: error calling mustToDate: parsing time "2021-2-29" as "2006-01-02": cannot parse "2-29" as "01"',
    ),
    (
        '{{ mustToDate "2006-01-02" "2021-13-29" }}',
        'template: template:1:3: executing "template" at <mustToDate "2006-01-02" "2021-13-29">: error calling mustToDate: parsing time "2021-13-29": month out of range',
    ),
    (
        '{{ mustToDate "2006-01-02" "2021-12-29x" }}',
        'template: template:1:3: executing "template" at <mustToDate "2006-01-02" "2021-12-29x">: error calling mustToDate: parsing time "2021-12-29x": extra text: "x"',
    ),
    ('{{ unixEpoch "x" }}', "template: template:1:13: executing \"template\" at <\"x\">: can't handle \"x\" for arg of type time.Time"),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_dates_as_go(text: str, printed: str) -> None:
    """Functions for times and durations give what sprig gives."""
    assert render(text, {}) == printed


@pytest.mark.parametrize(("text", "reason"), FAILS)
def test_dates_refused_as_go(text: str, reason: str) -> None:
    """Wrong arguments fail as in sprig."""
    with pytest.raises(TemplateError) as caught:
        render(text, {})
    assert caught.value.message == reason


@pytest.mark.skipif(not os.path.exists("/usr/share/zoneinfo/Asia/Kolkata"), reason="there is no time zone database")
def test_time_in_a_named_zone() -> None:
    """A zone is looked up by its name; an unknown one is UTC."""
    layout = "Mon Monday Jan January 1 01 2 02 _2 3 03 4 04 5 05 06 2006 15 PM pm -0700 -07:00 -07 Z07:00 MST .000 002"
    printed = "Tue Tuesday Jan January 1 01 3 03  3 3 03 34 34 5 05 06 2006 03 AM am +0530 +05:30 +05 +05:30 IST .000 003"
    assert render(f'{{{{ dateInZone "{layout}" 1136239445 "Asia/Kolkata" }}}}', {}) == printed
    assert render('{{ dateInZone "15:04 MST" 1136239445 "No/Zone" }}', {}) == "22:04 UTC"


def test_now_is_the_present() -> None:
    """`now` is the clock of the machine, in its zone, and `ago` counts from it."""
    before = int(time.time())
    shown = int(render("{{ now | unixEpoch }}", {}))
    assert before <= shown <= int(time.time())
    assert render(f"{{{{ ago {before - 3600} }}}}", {}).startswith("1h0m")
    assert render(f'{{{{ dateInZone "2006" {before} "UTC" }}}}', {}) == str(time.gmtime(before).tm_year)


@pytest.mark.parametrize("day", ["2019-01-31", "2020-02-29", "2020-03-01", "1999-04-30", "2024-12-31", "1900-02-28", "2000-02-29", "1969-07-20", "2038-11-05"])
def test_calendar_of_every_season(day: str) -> None:
    """Days are counted as the calendar has them, leap years and years before 1970 included."""
    seconds = calendar.timegm(time.strptime(day, "%Y-%m-%d")) + 43200
    parsed = f'(toDate "2006-01-02T15:04:05Z07:00" "{day}T12:00:00Z")'
    assert render(f"{{{{ {parsed}.Unix }}}} {{{{ {parsed}.Format `2006-01-02` }}}}", {}) == f"{seconds} {day}"
