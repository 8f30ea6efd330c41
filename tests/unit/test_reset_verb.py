"""The flags of reset: none is swallowed, and the question that is asked first says what is lost."""

from __future__ import annotations

import pytest

from kairos_boot.cli.main import run
from kairos_boot.cli.reset import question
from kairos_boot.lifecycle.reset import Options


@pytest.mark.parametrize("other", ["--plan", "--keep-persistent", "--reset-oem", "--unattended", "--reboot", "--poweroff", "--failed", "--host-root=/nowhere"])
@pytest.mark.parametrize("verb", ["--next-boot", "--state-only", "--failed"])
def test_a_flag_that_would_mean_nothing_is_refused(verb: str, other: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody who asks to keep the persistent data, or to do nothing, must not get a reset that erases it."""
    if verb == other or (verb, other.partition("=")[0]) == ("--next-boot", "--host-root"):
        return
    for words in ([verb, other], [other, verb]):
        assert run(["reset", *words]) == 2
        assert "does not go with" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["reset", "upgrade"])
def test_a_plan_for_programs_is_never_the_action_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--json"]) == 2
    assert "--json goes with --plan" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "said"), [
    (Options(), "All persistent data of this node is about to be erased, and its images are written anew; /oem is kept."),
    (Options(erase_oem=True), "All persistent data of this node is about to be erased, and its images are written anew; /oem is erased, too, with all configuration."),
    (Options(erase_persistent=False), "The persistent data of this node is kept, and its images are written anew; /oem is kept."),
])
def test_the_question_says_what_is_lost(options: Options, said: str) -> None:
    assert question(options) == said
