"""The sprig functions for regular expressions, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import TemplateError, render
from tests.unit.sprig_data import DATA

PRINTS = [
    (
        '{{ regexMatch "^a" "abc" }} {{ regexMatch "(" "abc" }} {{ regexFind "[a-z]+" "12abc" }} {{ regexFindAll "[2,4,6,8]" "123456789" -1 }} {{ regexFindAll "a" "aaa" 2 }} {{ regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W" }} {{ regexReplaceAll "a(x*)b" "-ab-axxb-" "$1W" }} {{ regexReplaceAllLiteral "a(x*)b" "-ab-axxb-" "${1}" }} {{ regexSplit "z+" "pizza" -1 }} {{ regexQuoteMeta "1.2.3*(a)[b]^$|\\\\{}+?" }}',
        "true false abc [2 4 6 8] [a a] -W-xxW- --- -${1}-${1}- [pi a] 1\\.2\\.3\\*\\(a\\)\\[b\\]\\^\\$\\|\\\\\\{\\}\\+\\?",
    ),
    (
        '{{ regexMatch "(?i)ABC" "xabcx" }} {{ regexMatch "^\\\\d{3}-\\\\w+\\\\s$" "123-ab_ " }} {{ regexMatch "\\\\bfoo\\\\b" "a foo b" }} {{ regexMatch "\\\\Bfoo" "a foo" }} {{ regexMatch "[[:alpha:]]+$" "abc" }} {{ regexMatch "^[^[:digit:]]+$" "ab1" }} {{ regexMatch "\\\\pL" "é" }} {{ regexMatch "^\\\\x41\\\\x{42}\\\\103$" "ABC" }} {{ regexMatch "a.b" "a\\nb" }} {{ regexMatch "(?s)a.b" "a\\nb" }} {{ regexMatch "(?m)^b$" "a\\nb\\nc" }} {{ regexMatch "\\\\Aab\\\\z" "ab" }} {{ regexMatch "\\\\Qa.b\\\\E+" "a.bbb" }} {{ regexMatch "" "" }} {{ regexMatch "[]a]" "]" }} {{ regexMatch "[a-]" "-" }} {{ regexMatch "[^a-c]" "b" }} {{ regexMatch "a{,2}" "a{,2}" }} {{ regexMatch "x{2}" "xx" }} {{ regexMatch "[\\\\d\\\\-x]+$" "1-x" }}',
        "true true true false true false true true false true true true true true true true false true true true",
    ),
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
    (
        '{{ regexReplaceAll "x*" "abc" "-" }} {{ regexReplaceAll "b*" "abbc" "-" }} {{ regexReplaceAll "(?P<first>\\\\w)(?P<second>\\\\w)" "abcd" "$second$first" }} {{ regexReplaceAll "(a)(b)?" "aab" "[$1|$2|$3|$$|$x]" }} {{ regexReplaceAll "a" "aXa" "${1" }} {{ regexReplaceAll "^" "abc" ">" }} {{ regexReplaceAll "$" "abc" "<" }} {{ regexReplaceAll "" "ab" "." }} {{ regexReplaceAll "(\\\\d+)" "a1b22" "<$1>" }} {{ regexReplaceAll "[0-9]+" "a12b3" "N" }}',
        "-a-b-c- -a-c- badc [a|||$|][a|b||$|] ${1X${1 >abc abc< .a.b. a<1>b<22> aNbN",
    ),
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
    (
        '{{ regexMatch "(a+)+$" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab" }} {{ regexMatch "^(a|b|ab)*c$" "ababababc" }} {{ regexMatch "(|a)*b" "aab" }} {{ regexMatch "(a*)*" "b" }} {{ regexFind "(a|b)*?c" "abac" }} {{ regexMatch "^$" "" }} {{ regexMatch "(?i)[a-c]É" "Bé" }} {{ regexMatch "(?-i)a" "A" }} {{ regexMatch "\\\\$\\\\{x\\\\}" "${x}" }}',
        "false true true true abac true true false true",
    ),
]

FAILS = [
    (
        '{{ regexFind "(" "a" }}',
        'template: template:1:3: executing "template" at <regexFind "(" "a">: error calling regexFind: regexp: Compile(`(`): error parsing regexp: missing closing ): `(`',
    ),
    (
        '{{ mustRegexFind "(" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexFind "(" "a">: error calling mustRegexFind: error parsing regexp: missing closing ): `(`',
    ),
    (
        '{{ mustRegexMatch "[z-a]" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "[z-a]" "a">: error calling mustRegexMatch: error parsing regexp: invalid character class range: `z-a`',
    ),
    (
        '{{ mustRegexMatch "a**" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "a**" "a">: error calling mustRegexMatch: error parsing regexp: invalid nested repetition operator: `**`',
    ),
    (
        '{{ mustRegexMatch "*a" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "*a" "a">: error calling mustRegexMatch: error parsing regexp: missing argument to repetition operator: `*`',
    ),
    (
        '{{ mustRegexMatch "a{1001}" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "a{1001}" "a">: error calling mustRegexMatch: error parsing regexp: invalid repeat count: `{1001}`',
    ),
    (
        '{{ mustRegexMatch "a{2,1}" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "a{2,1}" "a">: error calling mustRegexMatch: error parsing regexp: invalid repeat count: `{2,1}`',
    ),
    (
        '{{ mustRegexMatch "(?=a)" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "(?=a)" "a">: error calling mustRegexMatch: error parsing regexp: invalid or unsupported Perl syntax: `(?=`',
    ),
    (
        '{{ mustRegexMatch "(?<n>a" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "(?<n>a" "a">: error calling mustRegexMatch: error parsing regexp: missing closing ): `(?<n>a`',
    ),
    (
        '{{ mustRegexMatch "a)" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "a)" "a">: error calling mustRegexMatch: error parsing regexp: unexpected ): `a)`',
    ),
    (
        '{{ mustRegexMatch "[a" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "[a" "a">: error calling mustRegexMatch: error parsing regexp: missing closing ]: `[a`',
    ),
    (
        '{{ mustRegexMatch "\\\\" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "\\\\" "a">: error calling mustRegexMatch: error parsing regexp: trailing backslash at end of expression: ``',
    ),
    (
        '{{ mustRegexMatch "\\\\y" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "\\\\y" "a">: error calling mustRegexMatch: error parsing regexp: invalid escape sequence: `\\y`',
    ),
    (
        '{{ mustRegexMatch "\\\\1" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "\\\\1" "a">: error calling mustRegexMatch: error parsing regexp: invalid escape sequence: `\\1`',
    ),
    (
        '{{ mustRegexMatch "[[:foo:]]" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "[[:foo:]]" "a">: error calling mustRegexMatch: error parsing regexp: invalid character class range: `[:foo:]`',
    ),
    (
        '{{ mustRegexMatch "\\\\p{Foo}" "a" }}',
        'template: template:1:3: executing "template" at <mustRegexMatch "\\\\p{Foo}" "a">: error calling mustRegexMatch: error parsing regexp: invalid character class range: `\\p{Foo}`',
    ),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_regex_as_go(text: str, printed: str) -> None:
    """Functions for regular expressions give what sprig gives."""
    assert render(text, DATA) == printed


@pytest.mark.parametrize(("text", "reason"), FAILS)
def test_regex_refused_as_go(text: str, reason: str) -> None:
    """Wrong arguments fail as in sprig."""
    with pytest.raises(TemplateError) as caught:
        render(text, DATA)
    assert caught.value.message == reason
