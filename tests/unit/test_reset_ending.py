"""What the unit that follows a failed reset does: no node stays in the target of the reset, without a login and without a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kairos_boot.boot.resume import MARKER
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import ending
from kairos_boot.lifecycle.resetting import mend
from kairos_boot.system import power
from kairos_boot.system.host import Host
from kairos_boot.system.process import Result


def node(home: Path, marker: str | None) -> Host:
    if marker is not None:
        (home / "state" / MARKER).parent.mkdir(parents=True)
        (home / "state" / MARKER).write_text(marker)
    return Host(str(home))


@pytest.mark.parametrize(("marker", "again"), [
    (None, False), (json.dumps({"action": "reset", "started": "active"}), True), (json.dumps({"action": "reset", "failed": "no room"}), False),
    (json.dumps({"action": "upgrade"}), False), ("{", False),
])
@pytest.mark.parametrize("note", ["", "{", "[]", "{}"])
def test_a_reset_that_was_killed_is_gone_on_with_where_it_had_begun(tmp_path: Path, marker: str | None, again: bool, note: str) -> None:
    """Without a note there is no reason to tell; the node restarts, or becomes a recovery system with a login."""
    host = node(tmp_path, marker)
    if note:
        ending.note_done(host)
        Path(host.path(ending.NOTE)).write_text(note)
    found = ending.failure(host, "/state")
    assert found is not None
    assert (found[1], "without a word" in str(found[0])) == (again, True)


def test_what_was_noted_is_told_and_a_new_reset_forgets_it(tmp_path: Path) -> None:
    host = node(tmp_path, None)
    ending.note_failure(host, KairosError("no room", "/there", "make room"), again=True)
    found = ending.failure(host, "/state")
    assert found is not None
    assert (str(found[0]), found[1]) == ("/there: no room; make room", True)
    ending.note_done(host)
    assert ending.failure(host, "/state") is None
    ending.forget(host)
    assert "without a word" in str(ending.failure(host, "/state"))


@pytest.mark.parametrize(("result", "told"), [
    (Result(0, "clean"), []), (Result(1, "x: FIXED"), [(5, "e2fsck mended /dev/x: x: FIXED")]),
    (Result(4, "UNEXPECTED INCONSISTENCY"), [(4, "e2fsck could not mend /dev/x: exit status 4: UNEXPECTED INCONSISTENCY")]),
    (Result(-9, "half", timed_out=True), [(4, "e2fsck could not mend /dev/x: time limit of 600 s: half")]),
    (KairosError("no program e2fsck"), [(4, "/dev/x was not checked before it is mounted: no program e2fsck")]),
])
def test_what_a_check_before_the_mount_did_or_could_not_do_is_told(result: Result | KairosError, told: list[tuple[int, str]]) -> None:
    """The mount that follows decides whether the reset goes on; a check that cannot run does not."""
    class Programs:
        def run(self, argv: tuple[str, ...], **_: object) -> Result:
            assert argv == ("e2fsck", "-p", "/dev/x")
            if isinstance(result, KairosError):
                raise result
            return result

    said: list[tuple[int, str]] = []
    mend(Host("/", Programs()), lambda priority, text, **_: said.append((priority, text)), "/dev/x")  # type: ignore[arg-type]
    assert said == told


@pytest.mark.parametrize(("result", "by_force"), [(Result(0), False), (Result(1, "Transport endpoint is not connected"), True), (Result(-9, timed_out=True), True), (KairosError("no program"), True)])
def test_a_node_that_is_to_restart_does_whatever_systemd_says(result: Result | KairosError, by_force: bool) -> None:
    """After a boot that is not good, or a reset that is to go on, nobody is there to try it again."""
    class Programs:
        def run(self, argv: tuple[str, ...], **_: object) -> Result:
            assert argv == ("systemctl", "--no-block", "reboot")
            if isinstance(result, KairosError):
                raise result
            return result

    forced: list[Host] = []
    power.reboot(Host("/", Programs()), forced.append)  # type: ignore[arg-type]
    assert bool(forced) == by_force
