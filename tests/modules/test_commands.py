"""commands: the user's shell text, one shell an item."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from kairos_boot.facts import Facts
from kairos_boot.modules import commands

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node, Recorder, Tools


def test_each_item_goes_to_a_shell_of_its_own(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """The text as written, empty ones too, with ten minutes each."""
    texts = ["echo \"$X\" 'y' `z`", "", "a\nb\n"]
    assert host.do(commands, step(commands=texts)) == [True] * 3
    assert recorder.argvs == [("/bin/sh", "-c", text) for text in texts]
    assert {call.timeout for call in recorder.calls} == {600.0}


def test_a_failing_item_does_not_stop_the_next(host: Node, step: MakeStep, tools: Tools) -> None:
    """Its error has place, command, status and the command's own words; so has one that a signal ended."""
    tools(host)
    log = host.root + "/log"
    bad, killed, done = host.do(commands, step(commands=["echo visible; exit 37", "kill -9 $$", f"echo next >>{log}"]))
    assert str(bad) == "/oem/a.yaml: stages.s[0].commands[0]: echo visible; exit 37: exit status 37\nvisible"
    assert "signal 9" in str(killed)
    assert done is True
    assert host.text("/log") == "next\n"


def test_the_time_limit_ends_the_whole_group(host: Node, step: MakeStep, tools: Tools) -> None:
    """A step's own limit counts; a child in the background is ended, too, and later items run."""
    tools(host)
    started = time.monotonic()
    late, done = host.do(commands, step(timeout=0.2, commands=[f"(sleep 60; touch {host.root}/child) & sleep 60", "true"]))
    assert "time limit of 0.2 s" in str(late)
    assert done is True
    assert time.monotonic() - started < 30
    assert not os.path.exists(host.root + "/child")


def test_retries_are_more_tries(host: Node, step: MakeStep, tools: Tools) -> None:
    """As many as are asked for, and none after a success."""
    tools(host)
    script = f"echo try >>{host.root}/log; [ $(wc -l <{host.root}/log) -ge 3 ]"
    assert host.do(commands, step(retries=5, commands=[script])) == [True]
    assert host.text("/log") == "try\n" * 3
    [error] = host.do(commands, step(retries=2, commands=["exit 3"]))
    assert "exit status 3 (3 tries)" in str(error)


def test_items_are_rendered(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """A template that fails leaves the text, with a warning."""
    facts = Facts(gather=lambda: {"node": {"hostname": "lab"}})
    host.do(commands, step(commands=["echo {{ .Values.node.hostname }}", "echo {{ nonsense }}"]), facts)
    assert [argv[2] for argv in recorder.argvs] == ["echo lab", "echo {{ nonsense }}"]
    assert len(facts.warnings) == 1


def test_a_plan_shows_the_command_and_claims_nothing(host: Node, step: MakeStep) -> None:
    """Whether a command changes something, only running it tells."""
    [action] = commands.plan(step(commands=["  true\n"]), Facts())
    assert (action.describe(), action.would_change(host)) == ("run true", None)
    [script] = commands.plan(step(commands=["set -e\nfoo\nbar\n"]), Facts())
    assert script.describe() == "run set -e … (3 lines)"
