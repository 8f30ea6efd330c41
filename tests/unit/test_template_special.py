"""The sprig functions for times, regular expressions, versions and randomness, as sprig 3.3 has them."""

from __future__ import annotations

import calendar
import os
import time

import pytest

from kairos_boot.template import TemplateError, render

DIGITS = frozenset("0123456789")
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
PRINTS = {
    "dates": [
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
    ],
    "regex": [
        ('{{ regexMatch "^a" "abc" }} {{ regexMatch "(" "abc" }} {{ regexFind "[a-z]+" "12abc" }} {{ regexFindAll "[2,4,6,8]" "123456789" -1 }} {{ regexFindAll "a" "aaa" 2 }} {{ regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W" }} {{ regexReplaceAll "a(x*)b" "-ab-axxb-" "$1W" }} {{ regexReplaceAllLiteral "a(x*)b" "-ab-axxb-" "${1}" }} {{ regexSplit "z+" "pizza" -1 }} {{ regexQuoteMeta "1.2.3*(a)[b]^$|\\\\{}+?" }}', "true false abc [2 4 6 8] [a a] -W-xxW- --- -${1}-${1}- [pi a] 1\\.2\\.3\\*\\(a\\)\\[b\\]\\^\\$\\|\\\\\\{\\}\\+\\?"),
        ('{{ regexMatch "(?i)ABC" "xabcx" }} {{ regexMatch "^\\\\d{3}-\\\\w+\\\\s$" "123-ab_ " }} {{ regexMatch "\\\\bfoo\\\\b" "a foo b" }} {{ regexMatch "\\\\Bfoo" "a foo" }} {{ regexMatch "[[:alpha:]]+$" "abc" }} {{ regexMatch "^[^[:digit:]]+$" "ab1" }} {{ regexMatch "\\\\pL" "é" }} {{ regexMatch "^\\\\x41\\\\x{42}\\\\103$" "ABC" }} {{ regexMatch "a.b" "a\\nb" }} {{ regexMatch "(?s)a.b" "a\\nb" }} {{ regexMatch "(?m)^b$" "a\\nb\\nc" }} {{ regexMatch "\\\\Aab\\\\z" "ab" }} {{ regexMatch "\\\\Qa.b\\\\E+" "a.bbb" }} {{ regexMatch "" "" }} {{ regexMatch "[]a]" "]" }} {{ regexMatch "[a-]" "-" }} {{ regexMatch "[^a-c]" "b" }} {{ regexMatch "a{,2}" "a{,2}" }} {{ regexMatch "x{2}" "xx" }} {{ regexMatch "[\\\\d\\\\-x]+$" "1-x" }}', "true true true false true false true true false true true true true true true true false true true true"),
        ('{{ regexFind "a+?" "aaa" }}', "a"),
        ('{{ regexFind "a*?b" "aab" }}', "aab"),
        ('{{ regexFind "(a|ab)(c|bcd)" "abcd" }}', "abcd"),
        ('{{ regexFind "x*" "aaa" }}', ""),
        ('{{ regexFind "(?U)a+" "aaa" }}', "a"),
        ('{{ regexFind "a{2,3}" "aaaa" }}', "aaa"),
        ('{{ regexFind "a{2,}?" "aaaa" }}', "aa"),
        ('{{ regexFind "(?:ab)+" "ababx" }}', "abab"),
        ('{{ regexFind "(?i:A)b" "ab" }}', "ab"),
        ('{{ regexFind "[a-z&&x]+" "x&" }}', "x&"),
        ('{{ regexFind "é+" "aéé" }}', "éé"),
        ('{{ regexReplaceAll "x*" "abc" "-" }} {{ regexReplaceAll "b*" "abbc" "-" }} {{ regexReplaceAll "(?P<first>\\\\w)(?P<second>\\\\w)" "abcd" "$second$first" }} {{ regexReplaceAll "(a)(b)?" "aab" "[$1|$2|$3|$$|$x]" }} {{ regexReplaceAll "a" "aXa" "${1" }} {{ regexReplaceAll "^" "abc" ">" }} {{ regexReplaceAll "$" "abc" "<" }} {{ regexReplaceAll "" "ab" "." }} {{ regexReplaceAll "(\\\\d+)" "a1b22" "<$1>" }} {{ regexReplaceAll "[0-9]+" "a12b3" "N" }}', "-a-b-c- -a-c- badc [a|||$|][a|b||$|] ${1X${1 >abc abc< .a.b. a<1>b<22> aNbN"),
        ('{{ regexSplit "," "a,b,c" 2 }}', "[a b,c]"),
        ('{{ regexSplit "," "a,b,c" 0 }}', "[]"),
        ('{{ regexSplit "," "" -1 }}', "[]"),
        ('{{ regexSplit "" "abc" -1 }}', "[a b c]"),
        ('{{ regexSplit "a*" "baac" -1 }}', "[b c]"),
        ('{{ regexSplit "," ",a," -1 | len }}', "3"),
        ('{{ regexFindAll "a*" "baac" -1 | len }}', "3"),
        ('{{ regexFindAll "" "ab" -1 | len }}', "3"),
        ('{{ regexFindAll "a" "b" -1 }}', "[]"),
        ('{{ regexFindAll "a" "aaa" 0 }}', "[]"),
        ('{{ regexSplit "x" "axbxc" 1 }}', "[axbxc]"),
        ('{{ regexMatch "(a+)+$" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab" }} {{ regexMatch "^(a|b|ab)*c$" "ababababc" }} {{ regexMatch "(|a)*b" "aab" }} {{ regexMatch "(a*)*" "b" }} {{ regexFind "(a|b)*?c" "abac" }} {{ regexMatch "^$" "" }} {{ regexMatch "(?i)[a-c]É" "Bé" }} {{ regexMatch "(?-i)a" "A" }} {{ regexMatch "\\\\$\\\\{x\\\\}" "${x}" }}', "false true true true abac true true false true"),
    ],
    "versions": [
        ('{{ semver "1.2.3-beta.1+5" }}', "1.2.3-beta.1+5"),
        ('{{ (semver "1.2.3").Major }}', "1"),
        ('{{ (semver "v1.2").Original }}', "v1.2"),
        ('{{ (semver "v1").Minor }}', "0"),
        ('{{ (semver "1.2.3-a").Prerelease }}', "a"),
        ('{{ (semver "1.2.3").Compare (semver "1.3.0") }}', "-1"),
        ('{{ semver "1.2.3" | toString }}', "1.2.3"),
        ('{{ semver "01.2.3" }}', "1.2.3"),
        ('{{ semverCompare "1.2.3" "1.2.3" }}', "true"),
        ('{{ semverCompare "^1.2.0" "1.9.0" }}', "true"),
        ('{{ semverCompare "~1.2.0" "1.3.0" }}', "false"),
        ('{{ semverCompare ">=1.0, <2" "1.5" }}', "true"),
        ('{{ semverCompare ">1.2" "1.2.5" }}', "false"),
        ('{{ semverCompare "<=1.2" "1.2.5" }}', "true"),
        ('{{ semverCompare "1.2.x" "1.2.9" }}', "true"),
        ('{{ semverCompare "*" "3.0.0" }}', "true"),
        ('{{ semverCompare ">1.0" "2.0.0-beta" }}', "false"),
        ('{{ semverCompare ">1.0-0" "2.0.0-beta" }}', "true"),
        ('{{ semverCompare "1.2 - 1.4.5" "1.4.4" }}', "true"),
        ('{{ semverCompare "<1.0 || >2.0" "3.0.0" }}', "true"),
        ('{{ semverCompare "!=1.2.x" "1.2.3" }}', "false"),
        ('{{ semverCompare "!=1.2.3" "1.2.4" }}', "true"),
        ('{{ semverCompare "^0.2.3" "0.2.9" }}', "true"),
        ('{{ semverCompare "^0.2.3" "0.3.0" }}', "false"),
        ('{{ semverCompare "^0.0.3" "0.0.4" }}', "false"),
        ('{{ semverCompare "^0" "0.9.0" }}', "true"),
        ('{{ semverCompare "~1" "1.9.9" }}', "true"),
        ('{{ semverCompare ">= 1.2.3" "1.2.3" }}', "true"),
        ('{{ semverCompare "=1.2" "1.2.7" }}', "true"),
        ('{{ semverCompare "v1.2" "1.2.0" }}', "true"),
        ('{{ semverCompare "~1.2" "1.2.9" }}', "true"),
        ('{{ semverCompare "^0.0" "0.0.9" }}', "true"),
        ('{{ semverCompare "^1.x" "1.3.0" }}', "true"),
        ('{{ semverCompare ">1.x" "2.0.0" }}', "true"),
        ('{{ semverCompare ">1.x" "1.5.0" }}', "false"),
        ('{{ semverCompare "<1.x" "0.5.0" }}', "true"),
        ('{{ semverCompare "<1.2" "1.1.9" }}', "true"),
        ('{{ semverCompare ">=1.x" "1.0.0" }}', "true"),
        ('{{ semverCompare "<2.0.0-0" "2.0.0-alpha" }}', "false"),
        ('{{ semverCompare "~1.2.3-beta" "1.2.3-beta.2" }}', "true"),
        ('{{ semverCompare "^1.2.3-beta" "1.2.4-alpha" }}', "true"),
        ('{{ semverCompare ">= 1.0 < 2.0" "1.5.0" }}', "true"),
        ('{{ semverCompare ">1.2.3-alpha.3" "1.2.3-alpha.7" }}', "true"),
        ('{{ semverCompare ">0" "1.0.0" }}', "true"),
        ('{{ semverCompare ">*" "1.0.0" }}', "true"),
        ('{{ semverCompare "!=*" "1.0.0" }}', "true"),
        ('{{ semverCompare "1" "1.4.0" }}', "true"),
        ('{{ semverCompare "<2.0.0-0" "2.0.0" }}', "false"),
        ('{{ semverCompare "<2.0.0-0" "1.9.0" }}', "true"),
        ('{{ semverCompare "~1.2.3-beta" "1.2.3-beta" }}', "true"),
        ('{{ semverCompare "~1.2.3-beta" "1.2.3" }}', "true"),
        ('{{ semverCompare "~1.2.3-beta" "1.2.5" }}', "true"),
        ('{{ semverCompare "<2.0.0-b" "2.0.0-a" }}', "true"),
        ('{{ semverCompare ">=2.0.0-a" "2.0.0-b" }}', "true"),
        ('{{ semverCompare ">=2.0.0-beta" "2.0.0-beta.2" }}', "true"),
        ('{{ (semver "1.0.0-beta").Compare (semver "1.0.0-beta.2") }}', "-1"),
        ('{{ (semver "1.0.0-0").Compare (semver "1.0.0-alpha") }}', "-1"),
        ('{{ (semver "1.0.0-2").Compare (semver "1.0.0-11") }}', "-1"),
        ('{{ semverCompare "<*" "1.0.0" }}', "false"),
        ('{{ semverCompare ">=*" "1.0.0" }}', "true"),
        ('{{ semverCompare "^*" "1.0.0" }}', "false"),
        ('{{ semverCompare "~*" "1.0.0" }}', "true"),
        ('{{ semverCompare "<=*" "1.0.0" }}', "false"),
        ('{{ semverCompare "*" "1.0.0-a" }}', "false"),
        ('{{ semverCompare ">=1-0" "1.0.0-beta" }}', "true"),
    ],
}

FAILS = {
    "dates": [
        ('{{ mustToDate "2006-01-02" "2021-02-29" }}', 'template: template:1:3: executing "template" at <mustToDate "2006-01-02" "2021-02-29">: error calling mustToDate: parsing time "2021-02-29": day out of range'),
        ('{{ mustToDate "2006-01-02" "2021-2-29" }}', 'template: template:1:3: executing "template" at <mustToDate "2006-01-02" "2021-2-29">: error calling mustToDate: parsing time "2021-2-29" as "2006-01-02": cannot parse "2-29" as "01"'),
        ('{{ mustToDate "2006-01-02" "2021-13-29" }}', 'template: template:1:3: executing "template" at <mustToDate "2006-01-02" "2021-13-29">: error calling mustToDate: parsing time "2021-13-29": month out of range'),
        ('{{ mustToDate "2006-01-02" "2021-12-29x" }}', 'template: template:1:3: executing "template" at <mustToDate "2006-01-02" "2021-12-29x">: error calling mustToDate: parsing time "2021-12-29x": extra text: "x"'),
        ('{{ unixEpoch "x" }}', 'template: template:1:13: executing "template" at <"x">: can\'t handle "x" for arg of type time.Time'),
    ],
    "regex": [
        ('{{ regexFind "(" "a" }}', 'template: template:1:3: executing "template" at <regexFind "(" "a">: error calling regexFind: regexp: Compile(`(`): error parsing regexp: missing closing ): `(`'),
        ('{{ mustRegexFind "(" "a" }}', 'template: template:1:3: executing "template" at <mustRegexFind "(" "a">: error calling mustRegexFind: error parsing regexp: missing closing ): `(`'),
        ('{{ mustRegexMatch "[z-a]" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "[z-a]" "a">: error calling mustRegexMatch: error parsing regexp: invalid character class range: `z-a`'),
        ('{{ mustRegexMatch "a**" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "a**" "a">: error calling mustRegexMatch: error parsing regexp: invalid nested repetition operator: `**`'),
        ('{{ mustRegexMatch "*a" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "*a" "a">: error calling mustRegexMatch: error parsing regexp: missing argument to repetition operator: `*`'),
        ('{{ mustRegexMatch "a{1001}" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "a{1001}" "a">: error calling mustRegexMatch: error parsing regexp: invalid repeat count: `{1001}`'),
        ('{{ mustRegexMatch "a{2,1}" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "a{2,1}" "a">: error calling mustRegexMatch: error parsing regexp: invalid repeat count: `{2,1}`'),
        ('{{ mustRegexMatch "(?=a)" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "(?=a)" "a">: error calling mustRegexMatch: error parsing regexp: invalid or unsupported Perl syntax: `(?=`'),
        ('{{ mustRegexMatch "(?<n>a" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "(?<n>a" "a">: error calling mustRegexMatch: error parsing regexp: missing closing ): `(?<n>a`'),
        ('{{ mustRegexMatch "a)" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "a)" "a">: error calling mustRegexMatch: error parsing regexp: unexpected ): `a)`'),
        ('{{ mustRegexMatch "[a" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "[a" "a">: error calling mustRegexMatch: error parsing regexp: missing closing ]: `[a`'),
        ('{{ mustRegexMatch "\\\\" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "\\\\" "a">: error calling mustRegexMatch: error parsing regexp: trailing backslash at end of expression: ``'),
        ('{{ mustRegexMatch "\\\\y" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "\\\\y" "a">: error calling mustRegexMatch: error parsing regexp: invalid escape sequence: `\\y`'),
        ('{{ mustRegexMatch "\\\\1" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "\\\\1" "a">: error calling mustRegexMatch: error parsing regexp: invalid escape sequence: `\\1`'),
        ('{{ mustRegexMatch "[[:foo:]]" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "[[:foo:]]" "a">: error calling mustRegexMatch: error parsing regexp: invalid character class range: `[:foo:]`'),
        ('{{ mustRegexMatch "\\\\p{Foo}" "a" }}', 'template: template:1:3: executing "template" at <mustRegexMatch "\\\\p{Foo}" "a">: error calling mustRegexMatch: error parsing regexp: invalid character class range: `\\p{Foo}`'),
    ],
    "versions": [
        ('{{ semver "x" }}', 'template: template:1:3: executing "template" at <semver "x">: error calling semver: Invalid Semantic Version'),
        ('{{ semver "1.2.3-01" }}', 'template: template:1:3: executing "template" at <semver "1.2.3-01">: error calling semver: Version segment starts with 0'),
        ('{{ semver "1.2.3.4" }}', 'template: template:1:3: executing "template" at <semver "1.2.3.4">: error calling semver: Invalid Semantic Version'),
        ('{{ semver "1.2.3-" }}', 'template: template:1:3: executing "template" at <semver "1.2.3-">: error calling semver: Invalid Semantic Version'),
        ('{{ semver "" }}', 'template: template:1:3: executing "template" at <semver "">: error calling semver: Invalid Semantic Version'),
        ('{{ semverCompare "" "1.0.0" }}', 'template: template:1:3: executing "template" at <semverCompare "" "1.0.0">: error calling semverCompare: improper constraint: '),
        ('{{ semverCompare "foo" "1.0.0" }}', 'template: template:1:3: executing "template" at <semverCompare "foo" "1.0.0">: error calling semverCompare: improper constraint: foo'),
        ('{{ semverCompare "1.0" "x" }}', 'template: template:1:3: executing "template" at <semverCompare "1.0" "x">: error calling semverCompare: Invalid Semantic Version'),
    ],
}


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


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("randAlpha", LETTERS), ("randNumeric", DIGITS), ("randAlphaNum", LETTERS | DIGITS), ("randAscii", frozenset(map(chr, range(32, 127))))],
)
def test_random_words_have_their_letters(name: str, allowed: frozenset[str]) -> None:
    """As many as asked for, of the kind asked for, others each time."""
    words = {render("{{ " + name + " 64 }}", {}) for _ in range(5)}
    assert len(words) == 5
    assert all(len(word) == 64 and set(word) <= allowed for word in words)
    assert render("{{ " + name + " 0 }}", {}) == ""


def test_uuid_is_of_version_four() -> None:
    """Groups of 8-4-4-4-12 hexadecimal digits with the version and variant of RFC 9562."""
    text = render("{{ uuidv4 }}", {})
    assert [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12]
    assert text[14] == "4"
    assert text[19] in "89ab"
    assert text != render("{{ uuidv4 }}", {})


def test_shuffle_keeps_the_letters() -> None:
    """Only their order changes."""
    text = render('{{ shuffle "abcdefghijklmnopqrstuvwxyz0123456789" }}', {})
    assert sorted(text) == sorted("abcdefghijklmnopqrstuvwxyz0123456789")
    assert text != "abcdefghijklmnopqrstuvwxyz0123456789"


def test_random_number_lies_between_its_bounds() -> None:
    """The lower bound is possible, the upper one is not."""
    found = {render("{{ randInt -1 2 }}", {}) for _ in range(200)}
    assert found == {"-1", "0", "1"}
    with pytest.raises(TemplateError, match="randInt"):
        render("{{ randInt 3 3 }}", {})


def test_random_bytes_are_base64() -> None:
    """As many bytes as asked for, encoded."""
    assert render("{{ randBytes 16 | b64dec | len }}", {}) == "16"
