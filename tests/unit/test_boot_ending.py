"""The end of a boot that cannot go on: the reason told and kept, another entry chosen, never twice round (D13)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.boot import failures
from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.ending import Ending
from kairos_boot.boot.failures import Medium
from kairos_boot.boot.report import FATAL_RECORD, Report
from kairos_boot.boot.state import detect
from kairos_boot.errors import KairosError
from kairos_boot.node import grubenv
from kairos_boot.reports.history import load
from kairos_boot.reports.status import as_text
from kairos_boot.stages.ledger import Ledger, kept
from kairos_boot.system.host import Host
from kairos_boot.system.process import Result
from kairos_boot.system.udev import Partition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LABELS = {"cos": "COS_ACTIVE", "fallback": "COS_PASSIVE", "recovery": "COS_SYSTEM"}


class Stays(Exception):  # noqa: N818
    """The node stays at its banner: an hour would pass."""


class Machine:
    """A node below a directory: its media, its one console, what it did at the end."""

    def __init__(self, home: Path, media: Sequence[str] = ("COS_OEM", "COS_STATE")) -> None:
        self.home = home
        self.did: list[str] = []
        for name in media:
            (home / name).mkdir(parents=True)
        self.media = [Medium(name, str(home / name)) for name in media]

    def fatal(self, entry: str, words: str = "", *, message: str = "the image is gone", shell: bool = False) -> str:
        """A fatal boot of *entry*; returns the banner on one line."""
        console = self.home / "console"
        console.write_text("")
        record = self.home / FATAL_RECORD.lstrip("/")
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"kind": "failed-boot", "where": "/x.img", "message": message, "hint": "mend it"}) + "\n" if message else "")
        line = Cmdline(f"root=LABEL={LABELS[entry]} console=none {words}" if entry else words)
        said = Report(self, self.log, "/dev/null")  # type: ignore[arg-type]
        show = said.banner
        said.banner = lambda error, _, more: show(error, [str(console)], more, str(self.home / "fatal"))  # type: ignore[method-assign,assignment,misc]
        host = Host(str(self.home), self, lambda: 1000.0)
        Ending(host, line, detect(line), said, grubenv, lambda: self.media, lambda: self.did.append("quiet"), self.sleep,
               lambda: self.did.append("restart")).run(shell=shell)
        return self.banner()

    def banner(self) -> str:
        return " ".join((self.home / "console").read_text().split())

    def sleep(self, seconds: float) -> None:
        self.did.append(f"wait {seconds:g}")
        if seconds > 600:
            raise Stays

    def run(self, argv: Sequence[str], **_: Any) -> Result:
        return Result(0, "sysroot.mount loaded failed failed /sysroot\n")

    def write(self, kind: str, **fields: Any) -> None:
        pass

    def log(self, priority: int, message: str, **about: str) -> None:
        pass

    def environment(self, medium: str = "COS_OEM") -> dict[str, str]:
        return grubenv.load(str(self.home / medium / "grubenv"))


def test_the_reason_is_kept_the_next_entry_chosen_and_the_banner_is_the_last_thing_before_the_restart(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    text = machine.fatal("cos")
    for words in ("Where: /x.img", "Cause: the image is gone", "Remedy: mend it", "Next: in 30 s this node restarts with entry fallback, the passive system", "Kept: on COS_OEM"):
        assert words in text
    assert machine.did == ["quiet", "wait 30", "restart"]
    assert machine.environment() == {"next_entry": "fallback", "failed_entries": "cos"}
    [kept] = failures.kept(str(tmp_path / "COS_OEM"))
    assert (kept["entry"], kept["message"], kept["booted"]) == ("cos", "the image is gone", 1000)
    assert ((tmp_path / "COS_OEM/.kairos/failed-boots").stat().st_mode & 0o777) == 0o600


def test_two_dead_systems_lead_to_recovery_and_a_dead_recovery_stays_at_its_banner(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.fatal("cos")
    machine.fatal("fallback")
    assert machine.environment() == {"next_entry": "recovery", "failed_entries": "cos fallback"}
    assert [k["entry"] for k in failures.kept(str(tmp_path / "COS_OEM"))] == ["cos", "fallback"]
    machine.did.clear()
    with pytest.raises(Stays):
        machine.fatal("recovery")
    assert "restart" not in machine.did
    assert "this node stays here" in machine.banner()
    assert [k["entry"] for k in failures.kept(str(tmp_path / "COS_OEM"))] == ["cos", "fallback", "recovery"]


@pytest.mark.parametrize(("entry", "words", "following"), [
    ("fallback", "kairos.failed=cos", "recovery"), ("cos", "kairos.failed=fallback", "recovery"), ("cos", "kairos.failed=fallback kairos.failed=recovery", ""),
    ("fallback", "kairos.failed=recovery", ""), ("fallback", "", "recovery"),
])
def test_what_the_boot_loader_could_not_load_is_not_tried_again(tmp_path: Path, entry: str, words: str, following: str) -> None:
    machine = Machine(tmp_path)
    if following:
        machine.fatal(entry, words)
        assert machine.environment()["next_entry"] == following
        assert set(machine.environment()["failed_entries"].split()) == {entry, *(word.partition("=")[2] for word in words.split())}
    else:
        with pytest.raises(Stays):
            machine.fatal(entry, words)
        assert "next_entry" not in machine.environment()


def test_a_reset_that_cannot_boot_is_not_started_again_by_itself(tmp_path: Path) -> None:
    """An action that was cut off goes on at each start; the list keeps a dead recovery image from being tried for ever."""
    machine = Machine(tmp_path)
    with pytest.raises(Stays):
        machine.fatal("recovery", "kairos.reset")
    assert machine.environment() == {"failed_entries": "statereset"}


@pytest.mark.parametrize("entry", ["", "live"])
def test_a_boot_that_is_no_entry_of_the_node_stays(tmp_path: Path, entry: str) -> None:
    machine = Machine(tmp_path)
    with pytest.raises(Stays):
        machine.fatal("", "root=live:CDLABEL=COS_LIVE" if entry else "")
    assert machine.environment() == {}


def test_any_order_of_deaths_ends_at_a_banner_or_in_a_system_that_was_not_tried(tmp_path: Path) -> None:
    """Whatever the loader and the initrd refuse, no entry starts twice: the loader's side of the rule is played here."""
    for number in range(3 ** 3):
        fates = [("loads not", "dies", "comes up")[number // 3 ** i % 3] for i in range(3)]
        machine = Machine(tmp_path / str(number))
        fate = dict(zip(LABELS, fates, strict=True))
        started: list[str] = []
        for _ in range(6):
            variables = machine.environment()
            bad = variables.get("failed_entries", "").split()
            grubenv.save(str(machine.home / "COS_OEM/grubenv"), {"next_entry": ""})
            first = variables.get("next_entry") or next(entry for entry in LABELS if entry not in bad or entry == "recovery")
            order = [first, *(entry for entry in LABELS if entry != first and (entry not in bad or entry == "recovery"))]
            refused = list(order[:next((i for i, e in enumerate(order) if fate[e] != "loads not"), len(order))])
            if len(refused) == len(order):
                break  # the loader has nothing left, and stays in its menu
            booted = order[len(refused)]
            assert booted not in started, (fate, started)
            started.append(booted)
            if fate[booted] == "comes up":
                break
            try:
                machine.fatal(booted, " ".join(f"kairos.failed={entry}" for entry in refused))
            except Stays:
                break
        else:
            raise AssertionError(fate)
        if "comes up" in fates:
            assert fate[started[-1]] == "comes up", (fate, started)


def test_where_the_first_place_cannot_be_written_the_second_is(tmp_path: Path) -> None:
    """COS_OEM may be encrypted, full, or damaged."""
    machine = Machine(tmp_path)
    (tmp_path / "COS_OEM/.kairos").write_text("in the way")
    (tmp_path / "COS_OEM/grubenv").write_text("no block of GRUB's")
    text = machine.fatal("cos")
    assert "Kept: on COS_STATE" in text
    assert machine.environment("COS_STATE")["next_entry"] == "fallback"
    assert [k["entry"] for k in failures.kept(str(tmp_path / "COS_STATE"))] == ["cos"]


def test_what_can_be_written_nowhere_is_said_and_the_node_does_not_go_round(tmp_path: Path) -> None:
    machine = Machine(tmp_path, ())
    with pytest.raises(Stays):
        machine.fatal("cos")
    assert "Kept: nowhere" in machine.banner()
    assert "restart" not in machine.did


def test_a_defect_on_the_way_costs_no_banner_and_no_round(tmp_path: Path) -> None:
    """An initrd without its libraries, say: pyudev may be what is broken."""
    machine = Machine(tmp_path)
    machine.media = None  # type: ignore[assignment]
    with pytest.raises(Stays):
        machine.fatal("cos")
    assert "a defect of kairos-boot: TypeError" in machine.banner()
    assert "Cause: the image is gone" in machine.banner()


def test_a_program_that_died_leaves_the_names_of_the_failed_units(tmp_path: Path) -> None:
    assert "its failed units: sysroot.mount" in Machine(tmp_path).fatal("cos", message="")


def test_who_asked_for_a_shell_gets_it_and_the_machine_is_not_restarted(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert "the next start takes entry fallback" in machine.fatal("cos", "rd.shell", shell=True)
    assert machine.did == ["quiet"]


def test_a_system_that_came_up_takes_the_list_away_and_leaves_the_other_variables(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    grubenv.save(str(tmp_path / "COS_OEM/grubenv"), {"extra_cmdline": "a b"})
    machine.fatal("cos")
    directory = str(tmp_path / "COS_OEM")
    assert failures.left_behind(directory, grubenv)
    failures.forget(directory, grubenv)
    assert not failures.left_behind(directory, grubenv)
    assert failures.kept(directory) == []
    assert machine.environment()["extra_cmdline"] == "a b"


def test_the_reasons_do_not_grow_for_ever(tmp_path: Path) -> None:
    for number in range(9):
        failures.keep(str(tmp_path), {"kind": "failed-boot", "entry": f"e{number}", "message": "x"})
    assert [k["entry"] for k in failures.kept(str(tmp_path))] == ["e5", "e6", "e7", "e8"]


PARTS = [Partition("/dev/vda3", "vda", "COS_OEM"), Partition("/dev/vda5", "vda", "COS_STATE", partuuid="s"), Partition("/dev/vdb3", "vdb", "COS_OEM")]


@pytest.mark.parametrize(("words", "found"), [
    ("kairos.state=PARTUUID=s", ["/dev/vda3", "/dev/vda5"]), ("", ["/dev/vda3", "/dev/vda5"]), ("kairos.state=PARTUUID=gone", ["/dev/vda5"]),
    ("kairos.state=PARTUUID=s rd.cos.oemlabel=OTHER", ["/dev/vda5"]),
    ("root=live:CDLABEL=COS_LIVE", []), ("root=live:CDLABEL=COS_LIVE kairos.state=PARTUUID=s", []),
])
def test_the_places_are_those_of_the_boot_disk_and_never_one_of_two(words: str, found: list[str]) -> None:
    from kairos_boot.boot.image import BootDisk

    line = Cmdline(words if "root=" in words else f"root=LABEL=COS_ACTIVE {words}")
    assert [medium.partition.node for medium in failures.media(line, detect(line), BootDisk.parse(""), PARTS) if medium.partition] == found


def test_the_reason_of_an_entry_that_did_not_load_is_looked_for_in_its_image(tmp_path: Path) -> None:
    assert failures.refused("cos", str(tmp_path))["message"] == "the boot loader could not load the active system: the image is missing"
    (tmp_path / "active.img").write_bytes(bytes(1 << 20))
    assert "its beginning was overwritten" in failures.refused("cos", str(tmp_path))["message"]
    assert failures.refused("cos", "")["message"] == "the boot loader could not load the active system"
    assert failures.refused("odd", str(tmp_path))["entry"] == "odd"


def test_an_environment_that_is_no_block_says_nothing_of_earlier_boots(tmp_path: Path) -> None:
    (tmp_path / "grubenv").write_text("odd")
    assert not failures.left_behind(str(tmp_path), grubenv)
    with pytest.raises(KairosError):
        failures.forget(str(tmp_path), grubenv)


def test_a_boot_that_died_in_the_initrd_is_told_of_as_the_one_before(tmp_path: Path) -> None:
    """Its ledger goes the way of its reason, and is kept with that of the boot that comes up (E1)."""
    machine = Machine(tmp_path / "dead")
    (tmp_path / "dead/proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "dead/proc/sys/kernel/random/boot_id").write_text("dead-1\n")
    died = Ledger(str(tmp_path / "dead/run/cos/ledger"), "dead-1")
    died.write("boot", mode="active")
    Report(died, machine.log, "/dev/null").fatal(KairosError("the state image is missing", "/cOS/active.img", "boot another entry"),  # type: ignore[arg-type]
                                                 str(tmp_path / "f"), str(tmp_path / "r"))
    machine.fatal("cos")
    host = Host(str(tmp_path / "node"))
    (tmp_path / "node/proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "node/proc/sys/kernel/random/boot_id").write_text("c0de\n")
    ledger = Ledger(str(tmp_path / "node/run/cos/ledger"), "c0de")
    ledger.write("boot", mode="passive")
    assert failures.take_over(machine.media, grubenv, Report(ledger, machine.log, "/dev/null")) == ["cos"]  # type: ignore[arg-type]
    for where in ("/run", "the log directory"):
        before = load(host, "1")
        assert before.boot_id == "dead-1", where
        text = "\n".join(as_text(before, 0.0))
        assert "the boot before: active system" in text, where
        assert "/cOS/active.img: the node cannot boot: the state image is missing" in text
        assert "its record: kairos-boot status --boot dead-1" in "\n".join(as_text(load(host), 0.0))
        assert ledger.keep(host)
    assert [boot for _, boot, _ in kept(str(tmp_path / "node/var/log/kairos-boot"))] == ["dead-1", "c0de"]
    assert list((tmp_path / "node/run/cos/ledger").iterdir()) == [tmp_path / "node/run/cos/ledger/c0de.jsonl"]
    assert [path.name for path in (tmp_path / "dead/COS_OEM/.kairos").glob("*.jsonl")] == ["failed-boot-cos.jsonl"], "what was taken over is in memory until a stage keeps it"


def test_a_record_whose_boot_has_no_id_leads_nowhere(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path / "ledger"), "c0de")
    for name in ("", "../../etc/x", "c0de", "A B"):
        ledger.adopt(name, b"x")
    assert not (tmp_path / "ledger").exists() or not list((tmp_path / "ledger").iterdir())
