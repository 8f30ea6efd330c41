"""The sprig functions for paths and URLs, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import TemplateError, render

PRINTS = [
    ('{{ base "/a/b.c" }}', "b.c"),
    ('{{ base "" }}', "."),
    ('{{ base "/" }}', "/"),
    ('{{ base "a/" }}', "a"),
    ('{{ dir "/a/b.c" }}', "/a"),
    ('{{ dir "a" }}', "."),
    ('{{ dir "" }}', "."),
    ('{{ dir "/a" }}', "/"),
    ('{{ dir "/" }}', "/"),
    ('{{ clean "/a/../b/./c//d/" }}', "/b/c/d"),
    ('{{ clean "../a/.." }}', ".."),
    ('{{ clean "" }}', "."),
    ('{{ clean "/.." }}', "/"),
    ('{{ ext "b.tar.gz" }}', ".gz"),
    ('{{ ext "a.b/c" }}', ""),
    ('{{ isAbs "/a" }}', "true"),
    ('{{ isAbs "a" }}', "false"),
    ('{{ osBase "/a/b" }}', "b"),
    ('{{ osDir "/a/b" }}', "/a"),
    ('{{ osExt "a.b" }}', ".b"),
    ('{{ osClean "a/../b" }}', "b"),
    ('{{ osIsAbs "/x" }}', "true"),
    ('{{ dir "a//b" }}', "a"),
    ('{{ base "//" }}', "/"),
    (
        '{{ urlParse "http://user:p%40ss@host:8080/a%20b/c?q=1&r=2#frag" }}',
        "map[fragment:frag host:host:8080 hostname:host opaque: path:/a b/c query:q=1&r=2 scheme:http userinfo:user:p%40ss]",
    ),
    ('{{ urlParse "mailto:a@b" }}', "map[fragment: host: hostname: opaque:a@b path: query: scheme:mailto userinfo:]"),
    ('{{ urlParse "/p?q" }}', "map[fragment: host: hostname: opaque: path:/p query:q scheme: userinfo:]"),
    ('{{ urlParse "//h/p" }}', "map[fragment: host:h hostname:h opaque: path:/p query: scheme: userinfo:]"),
    ('{{ urlParse "" }}', "map[fragment: host: hostname: opaque: path: query: scheme: userinfo:]"),
    ('{{ urlParse "HTTP://[::1]:80/x" }}', "map[fragment: host:[::1]:80 hostname:::1 opaque: path:/x query: scheme:http userinfo:]"),
    ('{{ urlParse "a/b:c" }}', "map[fragment: host: hostname: opaque: path:a/b:c query: scheme: userinfo:]"),
    ('{{ (urlParse "http://h/p").host }}', "h"),
    (
        '{{ urlJoin (dict "scheme" "http" "host" "h:80" "path" "/p a" "query" "q=1" "fragment" "f" "userinfo" "u:p") }}',
        "http://u:p@h:80/p%20a?q=1#f",
    ),
    ('{{ urlJoin (dict "host" "h" "path" "p") }}', "//h/p"),
    ('{{ urlJoin (dict "path" "/p") }}', "/p"),
    ('{{ urlJoin (dict "scheme" "mailto" "opaque" "a@b") }}', "mailto:a@b"),
    ('{{ urlJoin (dict "scheme" "file" "path" "/x") }}', "file:///x"),
    ('{{ urlJoin (urlParse "http://u:p@h:1/a%20b?x=y#z") }}', "http://u:p@h:1/a%20b?x=y#z"),
    ("{{ urlJoin dict }}", ""),
]

FAILS = [
    (
        '{{ urlParse "http://h:x/" }}',
        'template: template:1:3: executing "template" at <urlParse "http://h:x/">: error calling urlParse: unable to parse url: parse "http://h:x/": invalid port ":x" after host',
    ),
    (
        '{{ urlParse ":a" }}',
        'template: template:1:3: executing "template" at <urlParse ":a">: error calling urlParse: unable to parse url: parse ":a": missing protocol scheme',
    ),
    (
        '{{ urlParse "http://a b/" }}',
        'template: template:1:3: executing "template" at <urlParse "http://a b/">: error calling urlParse: unable to parse url: parse "http://a b/": invalid character " " in host name',
    ),
    (
        '{{ urlParse "1a:b" }}',
        'template: template:1:3: executing "template" at <urlParse "1a:b">: error calling urlParse: unable to parse url: parse "1a:b": first path segment in URL cannot contain colon',
    ),
    (
        '{{ urlParse "http://h/%zz" }}',
        'template: template:1:3: executing "template" at <urlParse "http://h/%zz">: error calling urlParse: unable to parse url: parse "http://h/%zz": invalid URL escape "%zz"',
    ),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_paths_as_go(text: str, printed: str) -> None:
    """Functions for paths and URLs give what sprig gives."""
    assert render(text, {}) == printed


@pytest.mark.parametrize(("text", "reason"), FAILS)
def test_paths_refused_as_go(text: str, reason: str) -> None:
    """Wrong arguments fail as in sprig."""
    with pytest.raises(TemplateError) as caught:
        render(text, {})
    assert caught.value.message == reason
