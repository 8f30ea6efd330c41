"""Go's own functions and its printing of values: comparison, logic, index, len, print and printf."""

from __future__ import annotations

import pytest

from kairos_boot.template import render
from tests.unit.template_data import DATA

PRINTS = [
    ("{{ (index .Values.network 0).macaddress }}", "52:54"),
    ("{{ (index .Values.network 1).macaddress }}", "<no value>"),
    ('{{ index .Values.network 1 "name" }}', "eth1"),
    ('{{ index .Values "node" "hostname" }}', "labhost"),
    ("{{ index .Values.l 1 }}", "b"),
    ('{{ index "abc" 1 }}', "98"),
    ('{{ index .Values "nope" }}', "<no value>"),
    ("{{ len .Values.l }}", "2"),
    ('{{ len "hé" }}', "3"),
    ("{{ len .Values }}", "14"),
    ("{{ eq 1 1 }}", "true"),
    ("{{ eq 1 2 1 }}", "true"),
    ('{{ ne "a" "b" }}', "true"),
    ("{{ lt 1 2 }}", "true"),
    ("{{ le 2 2 }}", "true"),
    ("{{ gt 1.5 1.0 }}", "true"),
    ('{{ ge "b" "a" }}', "true"),
    ("{{ eq true true }}", "true"),
    ('{{ eq .Values.nope "a" }}', "false"),
    ("{{ eq .Values.nope nil }}", "true"),
    ("{{ eq nil nil }}", "true"),
    ("{{ ne .Values.nope 1 }}", "true"),
    ("{{ not 1 }}", "false"),
    ("{{ not .Values.nope }}", "true"),
    ('{{ print 1 2 "a" "b" 3 nil true }}', "1 2ab3 <nil> true"),
    ('{{ println 1 "a" }}', "1 a\n"),
    ("{{ print }}", ""),
    (
        '{{ printf "%s|%d|%v|%q|%x|%f|%t|%05d|%-10s|%+v|%5.2f|%e|%g|%T|%c|%U|%o|%b|%X|%%" "s" 3 1.5 "q" "hi" 2.5 true 42 "ab" .Values.node 3.14159 1234.5 1e21 .Values.l 65 0x1F600 8 5 255 }}',
        's|3|1.5|"q"|6869|2.500000|true|00042|ab        |map[hostname:labhost n:3]| 3.14|1.234500e+03|1e+21|[]interface {}|A|U+1F600|10|101|FF|%',
    ),
    ('{{ printf "%d" "hi" }}', "%!d(string=hi)"),
    ('{{ printf "%s" 3 }}', "%!s(int=3)"),
    ('{{ printf "%d" }}', "%!d(MISSING)"),
    ('{{ printf "%d" 1 2 }}', "1%!(EXTRA int=2)"),
    ('{{ printf "%!" }}', "%!!(MISSING)"),
    ('{{ printf "%" }}', "%!(NOVERB)"),
    ('{{ printf "%z" 3 }}', "%!z(int=3)"),
    ('{{ printf "%v %s %d" nil nil nil }}', "<nil> %!s(<nil>) %!d(<nil>)"),
    ('{{ printf "%s" .Values.l }}', "[a b]"),
    ('{{ printf "%d" .Values.l }}', "[%!d(string=a) %!d(string=b)]"),
    ('{{ printf "%q" .Values.l }}', '["a" "b"]'),
    ('{{ printf "%v" .Values.network }}', "[map[macaddress:52:54 name:eth0] map[name:eth1]]"),
    (
        '{{ printf "%6.2f|%-8d|%+d|% d|%08.3f|%x|%X|%#x|%#o|%#q|%+q" 3.14159 42 42 42 3.14159 255 255 255 8 "a`b" "é" }}',
        '  3.14|42      |+42| 42|0003.142|ff|FF|0xff|010|"a`b"|"\\u00e9"',
    ),
    ('{{ printf "%[2]d %[1]d" 1 2 }}', "2 1"),
    ('{{ printf "%*d" 5 42 }}', "   42"),
    ('{{ printf "%-*d|" 5 42 }}', "42   |"),
    ('{{ printf "%.*f" 2 3.14159 }}', "3.14"),
    ('{{ printf "%[3]d" 1 }}', "%!d(BADINDEX)"),
    ('{{ printf "%5s|%-5s|%.2s|%5.1s|%05s" "abc" "abc" "abc" "abc" "abc" }}', "  abc|abc  |ab|    a|00abc"),
    ('{{ printf "%t" 1 }}', "%!t(int=1)"),
    ('{{ printf "%5t|%v" true false }}', " true|false"),
    (
        '{{ printf "%#v %#v %#v %#v" "a" 1 .Values.l .Values.node }}',
        '"a" 1 []interface {}{"a", "b"} map[string]interface {}{"hostname":"labhost", "n":3}',
    ),
    ('{{ printf "%x % x %#x %X" "hello" "hello" "hello" "hello" }}', "68656c6c6f 68 65 6c 6c 6f 0x68656c6c6f 68656C6C6F"),
    ('{{ printf "%8.3e|%G" 12345.678 1e-10 }}', "1.235e+04|1E-10"),
    ('{{ printf "%d" 3.0 }}', "%!d(float64=3)"),
    ('{{ printf "%d" 1.5 }}', "%!d(float64=1.5)"),
    ('{{ printf "%s" 1.5 }}', "%!s(float64=1.5)"),
    ('{{ printf "%f" 1 }}', "%!f(int=1)"),
    ('{{ printf "%.0f" .Values.b }}', "2097152"),
    ('{{ .Values.b | printf "%.0f" }}', "2097152"),
    ("{{ html \"<a href='x'>\\\"&\" }}", "&lt;a href=&#39;x&#39;&gt;&#34;&amp;"),
    ("{{ js \"it's <b>\\\"\\n\" }}", "it\\'s \\u003Cb\\u003E\\\"\\u000A"),
    ('{{ urlquery "a b&c=é/~" }}', "a+b%26c%3D%C3%A9%2F~"),
    ("{{ if not (eq 1 2) }}a{{ end }}{{ if (and (eq 1 1) (ne 1 2)) }}b{{ end }}", "ab"),
    ('{{ print "a" | len }}', "1"),
    ("{{ (print 1 | len) }}", "1"),
    ('{{ 1 | printf "%d %d" 2 }}', "2 1"),
    ("{{ $v := .Values.l }}{{ range $i, $_ := $v }}{{ index $v $i }}{{ end }}", "ab"),
    ('{{ .Values.node.hostname | eq "labhost" }}', "true"),
    ('{{ "x" | eq "x" "y" }}', "true"),
    ("{{ index .Values.l }}", "[a b]"),
    ("{{ len (index .Values.network 0) }}", "2"),
    ("{{ and (eq 1 1) .Values.node.hostname }}", "labhost"),
    ("{{if eq 1 1}}a{{end}}{{- if true -}} b {{- end -}} c", "abc"),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_builtins_as_go(text: str, printed: str) -> None:
    """The built-in functions print what Go prints."""
    assert render(text, DATA) == printed
