"""The sprig functions for snake, kebab and camel case, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import render
from tests.unit.sprig_data import DATA

PRINTS = [
    ('{{ snakecase "FirstName" }}', "first_name"),
    ('{{ snakecase "HTTPServer" }}', "http_server"),
    ('{{ snakecase "NoHTTPS" }}', "no_https"),
    ('{{ snakecase "GO_PATH" }}', "go_path"),
    ('{{ snakecase "GO PATH" }}', "go_path"),
    ('{{ snakecase "GO-PATH" }}', "go_path"),
    ('{{ snakecase "http2xx" }}', "http_2xx"),
    ('{{ snakecase "HTTP20xOK" }}', "http_20x_ok"),
    ('{{ snakecase "Duration2m3s" }}', "duration_2m3s"),
    ('{{ snakecase "Bld4Floor3rd" }}', "bld4_floor_3rd"),
    ('{{ kebabcase "FirstName" }}', "first-name"),
    ('{{ kebabcase "HTTPServer" }}', "http-server"),
    ('{{ kebabcase "foo_bar  Baz--q" }}', "foo-bar--baz--q"),
    ('{{ kebabcase "aB1c" }}', "a-b-1c"),
    ('{{ kebabcase "A" }}', "a"),
    ('{{ kebabcase "-a-" }}', "-a-"),
    ('{{ kebabcase "ABC" }}', "abc"),
    ('{{ kebabcase "ABCd" }}', "ab-cd"),
    ('{{ kebabcase "a.b c" }}', "a.b-c"),
    ('{{ kebabcase "1A2b" }}', "1-a-2b"),
    ('{{ kebabcase "fooBARBaz" }}', "foo-bar-baz"),
    ('{{ kebabcase "foo123Bar" }}', "foo123-bar"),
    ('{{ kebabcase "v1.2.3" }}', "v1.2.3"),
    ('{{ camelcase "http_server" }}', "HttpServer"),
    ('{{ camelcase "no_https" }}', "NoHttps"),
    ('{{ camelcase "foo-bar baz" }}', "FooBarBaz"),
    ('{{ camelcase "_foo_bar_" }}', "_FooBar_"),
    ('{{ camelcase "__a__b" }}', "__A_B"),
    ('{{ camelcase "FooBar" }}', "FooBar"),
    ('{{ camelcase "a1_b2" }}', "A1B2"),
    ('{{ camelcase "foo.bar" }}', "Foo.bar"),
    ('{{ camelcase "ALL" }}', "All"),
    ('{{ camelcase "_complex__case_" }}', "_Complex_Case_"),
    ('{{ camelcase " a b" }}', " AB"),
    ('{{ camelcase "all" }}', "All"),
    ('{{ snakecase "_a__B_" }}', "_a__b_"),
    ('{{ snakecase "a  b" }}', "a__b"),
    ('{{ snakecase "été École" }}', "été_école"),
    ('{{ snakecase "x" }}', "x"),
    ('{{ snakecase "" }}', ""),
    ('{{ snakecase "ID3Tag" }}', "id3_tag"),
    ('{{ snakecase "userID" }}', "user_id"),
    ('{{ snakecase "aBC" }}', "a_bc"),
    ('{{ snakecase "A1B2" }}', "a1_b2"),
    ('{{ snakecase "a1" }}', "a1"),
    ('{{ snakecase "1a" }}', "1a"),
    (
        '{{ snakecase "HTTPServer2xOK A1 b2C --x ..y$z 1$a" }} {{ kebabcase "aB1c d_E9F 12ab34CD" }} {{ camelcase "HTTP_server-X1y__z_ fooBAR" }} {{ camelcase "a" }}{{ camelcase "A" }}{{ camelcase "aBC dEF GHi" }}',
        "http_server_2x_ok_a1_b2_c___x_..y_$_z_1_$_a a-b-1c-d-e9-f-12ab34-cd HttpServerX1y_Z_FooBAR AAABCDEFGhi",
    ),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_cases_as_go(text: str, printed: str) -> None:
    """Functions for snake, kebab and camel case give what sprig gives."""
    assert render(text, DATA) == printed
