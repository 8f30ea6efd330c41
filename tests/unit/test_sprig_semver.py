"""The sprig functions for semantic versions, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import TemplateError, render

PRINTS = [
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
]

FAILS = [
    ('{{ semver "x" }}', 'template: template:1:3: executing "template" at <semver "x">: error calling semver: Invalid Semantic Version'),
    (
        '{{ semver "1.2.3-01" }}',
        'template: template:1:3: executing "template" at <semver "1.2.3-01">: error calling semver: Version segment starts with 0',
    ),
    (
        '{{ semver "1.2.3.4" }}',
        'template: template:1:3: executing "template" at <semver "1.2.3.4">: error calling semver: Invalid Semantic Version',
    ),
    (
        '{{ semver "1.2.3-" }}',
        'template: template:1:3: executing "template" at <semver "1.2.3-">: error calling semver: Invalid Semantic Version',
    ),
    ('{{ semver "" }}', 'template: template:1:3: executing "template" at <semver "">: error calling semver: Invalid Semantic Version'),
    (
        '{{ semverCompare "" "1.0.0" }}',
        'template: template:1:3: executing "template" at <semverCompare "" "1.0.0">: error calling semverCompare: improper constraint: ',
    ),
    (
        '{{ semverCompare "foo" "1.0.0" }}',
        'template: template:1:3: executing "template" at <semverCompare "foo" "1.0.0">: error calling semverCompare: improper constraint: foo',
    ),
    (
        '{{ semverCompare "1.0" "x" }}',
        'template: template:1:3: executing "template" at <semverCompare "1.0" "x">: error calling semverCompare: Invalid Semantic Version',
    ),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_semver_as_go(text: str, printed: str) -> None:
    """Functions for semantic versions give what sprig gives."""
    assert render(text, {}) == printed


@pytest.mark.parametrize(("text", "reason"), FAILS)
def test_semver_refused_as_go(text: str, reason: str) -> None:
    """Wrong arguments fail as in sprig."""
    with pytest.raises(TemplateError) as caught:
        render(text, {})
    assert caught.value.message == reason
