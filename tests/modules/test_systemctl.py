"""systemctl: unit states through systemctl, drop-ins as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.base import Note
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.modules import systemctl
from tests.plans import heard

if TYPE_CHECKING:
    from kairos_boot.actions.base import Action
    from kairos_boot.cloudconfig.model import Step
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
    def would() -> list[object]:
        return [came for _, came in heard(systemctl.plan(wanted, Facts()), lambda action: action.would_change(host))]

    assert would() == [True, False]
    host.put("/run/systemd/system/.keep")
    assert would() == [True, True]
    host.do(systemctl, wanted)
    assert would() == [False]


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
    assert host.do(systemctl, step(systemctl={"overrides": [DROPIN]})) == [False]
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


JOBS = {"cos-setup-fs.service": "local-fs.target", "sysinit.target": "cos-setup-fs.service local-fs.target", "basic.target": "sysinit.target"}
"""Units that have jobs during stage fs, and what each is ordered after."""
OTHERS = {
    "demo.service": {"After": "sysinit.target basic.target", "Requires": "sysinit.target"},
    "early.service": {"After": "local-fs.target"},
    "puller.service": {"Requires": "demo.service", "After": "demo.service"},
    "wanter.service": {"Wants": "demo.service"},
    "behind.service": {"After": "cos-setup-fs.service"},
}


def systemd(host: Node, recorder: Recorder, own: str = "cos-setup-fs.service", jobs: Mapping[str, str] = JOBS) -> None:
    """A node in stage fs: systemd runs, the stage is a service of it with a job, and nothing of *OTHERS* is up."""
    host.put("/run/systemd/system/.keep")
    host.put("/proc/self/cgroup", f"0::/system.slice/{own}\n")
    recorder.answer("systemctl", "is-active", code=3)
    recorder.answer("systemctl", "list-jobs", output="".join(f"{n} {unit} start waiting\n" for n, unit in enumerate(jobs)))
    show = ("systemctl", "show", "--property=Id,Names,ActiveState,Before,After,Requires,Wants,BindsTo", "--")

    def block(unit: str, said: Mapping[str, str]) -> str:
        return "".join(f"{key}={value}\n" for key, value in {"Id": unit, "Names": unit, "ActiveState": "inactive", **said}.items())

    recorder.answer(*show, *jobs, output="\n".join(block(unit, {"After": after}) for unit, after in jobs.items()))
    mine = block(own, {"ActiveState": "activating", "Before": "shutdown.target sysinit.target", "After": "local-fs.target"})
    recorder.answer(*show, own, output=mine)
    for unit, said in OTHERS.items():
        recorder.answer(*show, unit, output=block(unit, said))
        for name in (unit, unit.removesuffix(".service")):
            recorder.answer(*show, own, name, output=f"{mine}\n{block(unit, said)}")


@pytest.mark.parametrize(("unit", "waits"), [
    ("demo", True), ("demo.service", True), ("behind", True), ("puller", True), ("cos-setup-fs.service", True), ("early", False), ("wanter", False),
])  # fmt: skip
@pytest.mark.parametrize(("verb", "before"), [("start", ""), ("enable", "--now ")])
def test_what_would_wait_for_the_running_stage_is_queued_and_said(host: Node, step: MakeStep, recorder: Recorder, unit: str, waits: bool, verb: str, before: str) -> None:
    """Decision C11: by systemd's own order, over what is pulled in, too; everything else is waited for."""
    systemd(host, recorder)
    actions = list(applied(host, step(systemctl={verb: [before + unit]})))
    words = tuple((before + unit).split())
    assert recorder.argvs[-1] == ("systemctl", verb, *(["--no-block"] if waits else []), *words)
    notes = [action.describe() for action in actions if isinstance(action, Note)]
    questions = [argv for argv in recorder.argvs if argv[1] in ("list-jobs", "show")]
    assert len(questions) == 2 or unit in ("puller", "early", "wanter"), "each costs a second on a slow processor"
    assert notes == ([f"/oem/a.yaml: stages.s[0].systemctl.{verb}[0]: queued: {before}{unit} starts when cos-setup-fs.service, which runs this step, has ended"] if waits else [])


def test_who_asks_to_wait_for_nothing_is_not_asked_about(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """Neither `--no-block` nor a verb that starts nothing costs a look at the jobs."""
    systemd(host, recorder)
    host.do(systemctl, step(systemctl={"start": ["--no-block demo"], "enable": ["demo"], "disable": ["x"], "mask": ["y"]}))
    assert not [argv for argv in recorder.argvs if argv[1] in ("list-jobs", "show")]


@pytest.mark.parametrize("cgroup", ["0::/user.slice/user-0.slice/session-3.scope\n", "", "0::/\n"])
def test_a_run_by_hand_waits_for_what_it_starts(host: Node, step: MakeStep, recorder: Recorder, cgroup: str) -> None:
    """Nothing waits for a session; nor for a service that is up and has no job."""
    systemd(host, recorder)
    host.put("/proc/self/cgroup", cgroup)
    host.do(systemctl, step(systemctl={"start": ["demo"]}))
    assert recorder.argvs[-1] == ("systemctl", "start", "demo")
    systemd(host, recorder, own="other.service")
    host.do(systemctl, step(systemctl={"start": ["demo"]}))
    assert recorder.argvs[-1] == ("systemctl", "start", "demo")


def test_a_question_that_fails_does_not_keep_a_unit_from_starting(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """What is wrong then is told by the start itself."""
    systemd(host, recorder)
    recorder.answer("systemctl", "list-jobs", code=1, output="Failed to list jobs")
    assert host.do(systemctl, step(systemctl={"start": ["demo"]})) == [True]
    assert recorder.argvs[-1] == ("systemctl", "start", "demo")


def applied(host: Node, wanted: Step) -> Iterator[Action]:
    """Each action of *wanted*, after it was applied."""
    for action, came in heard(systemctl.plan(wanted, Facts()), lambda action: action.apply(host)):
        assert not isinstance(came, KairosError)
        yield action
