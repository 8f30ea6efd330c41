"""systemctl: unit states through systemctl, drop-ins as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.facts import Facts
from kairos_boot.modules import systemctl

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node, Recorder

DROPIN = {"service": "foo", "name": "10-x", "content": "[Service]\nNice=5"}


def test_the_order_is_fixed(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """enable, disable, mask, start, whatever the order of keys; one call a unit, without a shell."""
    host.do(systemctl, step(systemctl={"start": ["one", "two"], "mask": ["m.service"], "disable": ["d"], "enable": ["e1", "e2.timer"]}))
    assert [" ".join(argv) for argv in recorder.argvs] == [
        "systemctl enable e1", "systemctl enable e2.timer", "systemctl disable d", "systemctl mask m.service", "systemctl start one", "systemctl start two"]
    assert {call.timeout for call in recorder.calls} == {600.0}


def test_a_steps_own_time_limit(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """`timeout` counts for these calls, too."""
    host.do(systemctl, step(timeout=5.0, systemctl={"enable": ["x"]}))
    assert recorder.calls[0].timeout == 5.0


def test_a_failing_unit_does_not_stop_the_others(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """Its error has place, command, status and systemctl's own words."""
    recorder.answer("systemctl", "enable", "bad", code=1, output="Unit bad.service does not exist")
    good, bad, fine = host.do(systemctl, step(systemctl={"enable": ["good", "bad", "fine"]}))
    assert (good, fine) == (False, False)
    assert "stages.s[0].systemctl.enable[1]: systemctl enable bad: exit status 1\nUnit bad.service does not exist" in str(bad)


def test_changed_is_what_systemctl_says(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """A second call makes no link and says nothing."""
    recorder.answer("systemctl", "enable", "new", output="Created symlink /etc/systemd/system/multi-user.target.wants/new.service → /lib/….\n")
    recorder.answer("systemctl", "disable", "old", output='Removed "/etc/systemd/system/multi-user.target.wants/old.service".\n')
    assert host.do(systemctl, step(systemctl={"enable": ["new", "there"], "disable": ["old"]})) == [True, False, True]


def test_a_unit_that_runs_is_not_started(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """Second run: nothing is started, and the plan knows."""
    host.put("/run/systemd/system/.keep")
    recorder.answer("systemctl", "is-active", "--quiet", "off", code=3)
    assert host.do(systemctl, step(systemctl={"start": ["off", "on"]})) == [True, False]
    assert ("systemctl", "start", "on") not in recorder.argvs
    assert [action.would_change(host) for action in systemctl.plan(step(systemctl={"start": ["off", "on"]}), Facts())] == [True, False]


@pytest.mark.parametrize("item", ["a; reboot", "$(id)", "a && b", "", " ", "a|b", "a\nb"])
def test_shell_text_is_refused(host: Node, step: MakeStep, recorder: Recorder, item: str) -> None:
    """No shell reads an item; the others are done."""
    refused, done = host.do(systemctl, step(systemctl={"enable": [item, "x"]}))
    assert "systemctl.enable[0]" in str(refused)
    assert done is False
    assert recorder.argvs == [("systemctl", "enable", "x")]


def test_several_words_are_several_arguments(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """As a shell would have split them: units, options, escaped names."""
    host.do(systemctl, step(systemctl={"enable": ["a b"], "start": ["--no-block dev-x\\x2dy.mount"]}))
    assert recorder.argvs == [("systemctl", "enable", "a", "b"), ("systemctl", "start", "--no-block", "dev-x\\x2dy.mount")]


@pytest.mark.parametrize(("service", "name", "path"), [
    ("foo", "", "foo.service.d/override-yip.conf"), ("foo.service", "10-x", "foo.service.d/10-x.conf"), ("foo@a.b", "y.conf", "foo@a.b.service.d/y.conf"),
    ("foo.socket", "", "foo.socket.d/override-yip.conf"), ("var.mount", "z", "var.mount.d/z.conf"), ("foo@.service", "z", "foo@.service.d/z.conf"),
])
def test_where_a_drop_in_lies(host: Node, step: MakeStep, service: str, name: str, path: str) -> None:
    """A unit without a type is a service; every type of unit can have drop-ins."""
    assert host.do(systemctl, step(systemctl={"overrides": [{"service": service, "name": name, "content": "[Unit]"}]})) == [True, False]
    assert host.text("/etc/systemd/system/" + path) == "[Unit]"
    assert host.mode("/etc/systemd/system/" + path) == 0o644
    assert host.mode("/etc/systemd/system") == 0o755


def test_drop_ins_are_written_and_loaded_before_start(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """What starts finds them; systemd reads them once, however many they are."""
    host.put("/run/systemd/system/.keep")
    recorder.answer("systemctl", "is-active", code=3)
    assert host.do(systemctl, step(systemctl={"start": ["foo"], "overrides": [DROPIN, {**DROPIN, "name": "y"}]})) == [True] * 4
    assert [argv[1] for argv in recorder.argvs] == ["daemon-reload", "is-active", "start"]


def test_a_plan_knows_whether_units_are_loaded_again(host: Node, step: MakeStep) -> None:
    """If a drop-in would be written, and systemd runs."""
    wanted = step(systemctl={"overrides": [DROPIN]})
    assert [action.would_change(host) for action in systemctl.plan(wanted, Facts())] == [True, False]
    host.put("/run/systemd/system/.keep")
    assert [action.would_change(host) for action in systemctl.plan(wanted, Facts())] == [True, True]
    host.do(systemctl, wanted)
    assert [action.would_change(host) for action in systemctl.plan(wanted, Facts())] == [False, False]


def test_nothing_starts_in_a_chroot(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """The tool says that it ignores the request, and succeeds: no change, no unit taken for running."""
    host.put("/run/systemd/system/.keep")
    recorder.answer("systemctl", output="Running in chroot, ignoring command 'start'\n")
    assert host.do(systemctl, step(systemctl={"start": ["foo"]})) == [False]
    assert recorder.argvs[-1] == ("systemctl", "start", "foo")


def test_second_run_changes_nothing(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """No file is written, nothing is loaded again."""
    host.put("/run/systemd/system/.keep")
    host.do(systemctl, step(systemctl={"overrides": [DROPIN]}))
    before = host.state()
    assert host.do(systemctl, step(systemctl={"overrides": [DROPIN]})) == [False, False]
    assert host.state() == before
    assert recorder.argvs == [("systemctl", "daemon-reload")]


def test_a_tree_that_does_not_run_is_not_reloaded(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """Without a running systemd there is nothing to tell."""
    host.do(systemctl, step(systemctl={"overrides": [DROPIN]}))
    assert recorder.argvs == []


def test_incomplete_drop_ins_are_noted(host: Node, step: MakeStep) -> None:
    """They make nothing and fail nothing; names that lead elsewhere are refused."""
    overrides = [{"content": "x"}, {"service": "a"}, {"service": "../x", "content": "x"}, {"service": "b", "name": "../../c", "content": "x"}, DROPIN]
    results = host.do(systemctl, step(systemctl={"overrides": overrides}))
    assert results[:2] == [False, False]
    assert "overrides[2]" in str(results[2])
    assert "overrides[3]" in str(results[3])
    assert results[4] is True
