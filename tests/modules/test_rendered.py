"""Every key that renders templates: secret texts stay out of messages (C5), and a value that is not there is never silent (B15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.actions.base import Invalid
from kairos_boot.facts import Facts
from kairos_boot.stages.planning import Planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.cloudconfig.model import Step
    from tests.modules.conftest import MakeStep

TEXTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "files": lambda text: {"files": [{"path": "/srv/f", "permissions": 0o644, "content": text}]},
    "files of mode 0600": lambda text: {"files": [{"path": "/srv/f", "permissions": 0o600, "content": text}]},
    "files without a mode": lambda text: {"files": [{"path": "/srv/f", "content": text}]},
    "deferred files": lambda text: {"keys": ("deferred_files",), "files": [{"path": "/srv/f", "permissions": 0o400, "content": text, "defer": True}]},
    "commands": lambda text: {"commands": [text]},
    "environment": lambda text: {"environment": {"TOKEN": text}},
    "ensure_entities": lambda text: {"ensure_entities": [{"entity": f"kind: shadow\nusername: carl\npassword: {text}\n"}]},
    "delete_entities": lambda text: {"delete_entities": [{"entity": f"kind: shadow\nusername: carl\npassword: {text}\n"}]},
    "packages": lambda text: {"packages": {"install": [text], "remove": [text]}},
    "package_pins": lambda text: {"package_pins": {"nginx": text}},
}
SECRET = ("files of mode 0600", "files without a mode", "deferred files", "environment", "ensure_entities", "delete_entities")
NEEDED = ("ensure_entities", "delete_entities", "packages", "package_pins")
FAILING = ["{{ CANARY }}", '{{ fail "CANARY" }}', "{{ .Values.CANARY | trunc 3 }}", '{{ "CANARY', "{{ $CANARY }}", "{{ .Values.CANARY }}", "{{ .Values.node.hostname.CANARY }}"]


def told(step: Step) -> list[str]:
    """All that a run of the step without a node would say."""
    facts = Facts(gather=lambda: {"node": {"hostname": "lab"}}, read=lambda path: b"ID=debian\n" if path == "/etc/os-release" else None)
    lines = [action.describe() if not isinstance(action, Exception) else str(action) for _, action in Planned(step, facts)]
    return lines + [f"{where}: {text}" for where, text in facts.warnings]


@pytest.mark.parametrize("text", FAILING)
@pytest.mark.parametrize("kind", SECRET)
def test_no_word_of_a_secret_text_is_told(step: MakeStep, kind: str, text: str) -> None:
    lines = told(step(**TEXTS[kind](text)))
    if kind == "files without a mode" and text == "{{ .Values.CANARY }}":  # the name of a fact
        return
    assert "CANARY" not in "".join(lines)
    assert any("line " in line and (" template " in line or "does not have" in line) for line in lines), lines


@pytest.mark.parametrize("kind", TEXTS)
def test_a_value_that_is_not_there_is_told_with_its_place(step: MakeStep, kind: str) -> None:
    """A warning that names it; an error where the text is a name or an account, and nothing is done then."""
    made = step(**TEXTS[kind]("{{ .Values.product.serial }}"))
    facts = Facts(read=lambda path: b"ID=debian\n" if path == "/etc/os-release" else None)
    actions = [action for _, action in Planned(made, facts)]
    told = [f"{where}: {text}" for where, text in facts.warnings]
    if kind in NEEDED:
        assert actions
        assert all(isinstance(action, Invalid) for action in actions)
        assert not told
        told = [action.describe() for action in actions if isinstance(action, Invalid)]
    assert told
    assert all(line.startswith("/oem/a.yaml: stages.s[0].") and "does not have" in line for line in told)
    assert all((".Values.product.serial" in line) is (kind not in SECRET or kind == "files without a mode") for line in told)


@pytest.mark.parametrize("kind", TEXTS)
def test_a_default_is_no_lack(step: MakeStep, kind: str) -> None:
    facts = Facts(read=lambda path: b"ID=debian\n" if path == "/etc/os-release" else None)
    made = step(**TEXTS[kind]('{{ .Values.product.serial | default "none" }}'))
    assert not any(isinstance(action, Invalid) for _, action in Planned(made, facts))
    assert facts.warnings == []
