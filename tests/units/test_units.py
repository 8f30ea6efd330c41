"""The unit files as they are shipped: what systemd says of them, their order, their limits, what pulls them in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

TOP = Path(__file__).resolve().parents[2]
UNITS = TOP / "units"
INITRD = TOP / "dracut/50kairos-boot"
CRYPT = TOP / "dracut/51kairos-boot-crypt"
STAGES = ("fs", "boot", "network")
ORDERING = {"After", "Before", "Wants", "Requires", "Requisite", "BindsTo", "PartOf", "Conflicts", "RequiresMountsFor"}
COMMAND_LIMIT = 600
"""Seconds: the limit of one command of a step (B4)."""


class Line(NamedTuple):
    section: str
    key: str
    value: str
    explained: bool
    """A comment stands right above it, or above the lines that it follows."""


def lines(path: Path) -> list[Line]:
    found, section, comment = [], "", False
    for text in path.read_text().splitlines():
        if text.startswith("["):
            section = text.strip("[]")
        elif text and not text.startswith("#"):
            key, _, value = text.partition("=")
            found.append(Line(section, key, value, comment))
        comment = text.startswith("#") or (comment and bool(text) and not text.startswith("["))
    return found


def values(name: str, key: str, *, own: bool = True) -> list[str]:
    """The words of *key* in a unit and its drop-ins; in the drop-ins alone, as for a unit file that somebody else wrote."""
    files = [UNITS / name] * own + sorted((UNITS / f"{name}.d").glob("*.conf"))
    return [word for path in files for line in lines(path) if line.key == key for word in line.value.split()]


def seconds(span: str) -> float:
    """What systemd makes of a time span."""
    said = subprocess.run(["systemd-analyze", "timespan", span], capture_output=True, text=True, check=True, env={"LC_ALL": "C.UTF-8"})
    [micro] = [line.split(":")[1] for line in said.stdout.splitlines() if line.strip().startswith(("μs", "us"))]
    return int(micro) / 1e6


def unit_files() -> list[Path]:
    kinds = (".service", ".timer", ".target", ".mount", ".conf")
    return [path for folder in (UNITS, INITRD, CRYPT) for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink() and path.suffix in kinds]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This machine's units and, installed beside them by the project's own script, ours."""
    root = tmp_path_factory.mktemp("root")
    shutil.copytree("/usr/lib/systemd/system", root / "usr/lib/systemd/system", symlinks=True)
    subprocess.run(["sh", TOP / "packaging/install", "--destdir", root], check=True)
    shutil.copy("/usr/bin/systemctl", root / "usr/bin")
    return root


@pytest.mark.parametrize("path", [path for path in unit_files() if path.suffix != ".conf"], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_systemd_finds_nothing_wrong_with_a_unit(tree: Path, path: Path) -> None:
    """Those of the initrd, too, which have the names of the root's."""
    shutil.copy(path, tree / "usr/lib/systemd/system")
    (tree / "usr/lib/kairos-boot-crypt").mkdir(exist_ok=True)
    shutil.copy(CRYPT / "unlock", tree / "usr/lib/kairos-boot-crypt")  # where dracut puts it
    check = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={tree}", path.name]
    result = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@pytest.mark.parametrize("path", unit_files(), ids=lambda path: path.name)
def test_each_ordering_line_has_its_reason_right_above(path: Path) -> None:
    unexplained = [f"{line.key}={line.value}" for line in lines(path) if line.key in ORDERING and not line.explained]
    assert unexplained == []


@pytest.mark.parametrize("path", unit_files(), ids=lambda path: path.name)
def test_nothing_requires_a_stage_unit_and_none_requires_anything(path: Path) -> None:
    """A stage that fails or waits is seen, and costs nobody else his start (B3)."""
    hard = {"Requires", "Requisite", "BindsTo", "PartOf", "RequiredBy"}
    assert [line for line in lines(path) if line.key in hard and ("cos-setup" in line.value or path.name.startswith("cos-setup"))] == []


@pytest.mark.parametrize("own", [True, False], ids=["ours", "a foreign file of that name"])
def test_the_stages_of_a_boot_are_ordered_one_after_the_other(own: bool) -> None:
    """Decisions D10 and D14: the order is in drop-ins, which hold for any unit file of the name."""
    assert "local-fs.target" in values("cos-setup-fs.service", "After", own=own)
    assert "sysinit.target" in values("cos-setup-fs.service", "Before", own=own)
    assert "cos-setup-fs.service" in values("cos-setup-boot.service", "After", own=own)
    assert "cos-setup-boot.service" in values("cos-setup-network.service", "After", own=own)
    assert "cos-setup-network.service" in values("cos-setup-reconcile.service", "After", own=own)


def test_a_stage_before_sysinit_has_no_default_dependencies_and_the_network_stage_waits_for_one() -> None:
    assert values("cos-setup-fs.service", "DefaultDependencies") == ["no"]
    assert "network-online.target" in values("cos-setup-network.service", "After")


@pytest.mark.parametrize("stage", ["boot", "network", "reconcile"])
def test_a_boot_that_resets_the_node_leaves_a_stage_out_whoever_wrote_its_unit(stage: str) -> None:
    """Decision D8."""
    assert values(f"cos-setup-{stage}.service", "ConditionPathExists", own=False) == ["!/run/cos/autoreset_mode"]
    assert values("cos-setup-fs.service", "ConditionPathExists") == []


def test_a_boot_that_resets_the_node_never_makes_its_entry_one_that_is_taken_by_itself() -> None:
    """The entry `statereset` has no tries, and would be like any other without its counter."""
    assert values("systemd-bless-boot.service", "ConditionPathExists", own=False) == ["!/run/cos/autoreset_mode"]


@pytest.mark.parametrize("name", sorted(path.name for path in INITRD.glob("*.service")))
def test_a_unit_of_the_initrd_is_known_after_the_switch_to_the_root(name: str) -> None:
    """Its result stays and is shown with its description; it never runs again, and isolating a target does not drop it."""
    assert values(name, "IgnoreOnIsolate") == values(name, "RemainAfterExit") == ["yes"]
    assert values(name, "AssertPathExists") == ["/etc/initrd-release"]
    assert values(name, "DefaultDependencies") == ["no"]
    assert values(name, "After") == values(name, "Requires") == []


def test_the_network_stage_pulls_in_what_it_waits_for() -> None:
    assert values("cos-setup-network.service", "Wants") == ["network-online.target", "kairos-boot-assess.service"]


@pytest.mark.parametrize("stage", ["boot", "network"])
def test_no_login_waits_for_a_stage_that_may_take_long(stage: str) -> None:
    assert values(f"cos-setup-{stage}.service", "Before") == []


def test_a_network_that_never_comes_does_not_drop_the_stage() -> None:
    """A limit on the job would cancel it; the limit is that of the service which waits for a connection."""
    keys = {line.key for line in lines(UNITS / "cos-setup-network.service")}
    assert not {"JobTimeoutSec", "JobRunningTimeoutSec", "JobTimeoutAction"} & keys


@pytest.mark.parametrize("stage", [*STAGES, "reconcile"])
def test_a_stage_has_a_limit_longer_than_that_of_one_command(stage: str) -> None:
    """So that a hanging command ends by its own limit, which names it, before the whole stage is ended."""
    [limit] = values(f"cos-setup-{stage}.service", "TimeoutStartSec")
    assert COMMAND_LIMIT < seconds(limit) <= 3600


@pytest.mark.parametrize("stage", [*STAGES, "reconcile"])
def test_a_unit_runs_its_stage_and_leaves_background_children_alone(stage: str) -> None:
    service = {line.key: line.value for line in lines(UNITS / f"cos-setup-{stage}.service") if line.section == "Service"}
    assert service["ExecStart"] == f"/usr/bin/kairos-boot run-stage {stage}"
    assert service["Type"] == "oneshot"
    assert service["KillMode"] == "process"
    assert service["StandardOutput"] == "journal"
    assert service["SyslogIdentifier"] == "kairos-boot"
    assert not any(line.value.startswith("-") for line in lines(UNITS / f"cos-setup-{stage}.service") if line.key == "ExecStart")


def test_reconcile_can_be_started_again_and_the_others_run_once() -> None:
    assert values("cos-setup-reconcile.service", "RemainAfterExit") == []
    assert all(values(f"cos-setup-{stage}.service", "RemainAfterExit") == ["yes"] for stage in STAGES)


def test_the_timer_fires_5_min_after_boot_and_then_every_60_min() -> None:
    assert [(line.key, seconds(line.value)) for line in lines(UNITS / "cos-setup-reconcile.timer") if line.section == "Timer"] == [
        ("OnBootSec", 300), ("OnUnitActiveSec", 3600),
    ]  # fmt: skip


def test_the_image_itself_makes_the_stages_part_of_a_boot(tree: Path) -> None:
    """By links beside the units (D5): /etc/systemd is persistent, so a link made there would outlive the image."""
    system = tree / "usr/lib/systemd/system"
    pulled = {
        "sysinit.target": ["cos-setup-fs.service"],
        "multi-user.target": ["cos-setup-boot.service", "cos-setup-network.service"],
        "timers.target": ["cos-setup-reconcile.timer"],
    }
    for target, units in pulled.items():
        links = sorted((system / f"{target}.wants").glob("cos-setup-*"))
        assert [link.name for link in links] == units
        assert [link.resolve() for link in links] == [system / unit for unit in units]
    assert [line for path in unit_files() for line in lines(path) if line.section == "Install"] == []


def test_extensions_are_merged_in_the_same_way_by_the_services_and_by_hand() -> None:
    """Over all of /usr an older systemd's merge hides /usr/local, where the node keeps its data."""
    [line] = [line.value for line in lines(UNITS / "systemd-sysext.service.d/10-hierarchies.conf") if line.key == "Environment"]
    assert f"export {line}\n" in (UNITS.parent / "packaging/image/oem/40_extensions.yaml").read_text()
    assert [f"export {line.value}\n" in (UNITS.parent / "packaging/image/oem/40_extensions.yaml").read_text() for line in lines(UNITS / "systemd-confext.service.d/10-writable.conf") if line.key == "Environment"] == [True]
    directories = line.partition("=")[2].split(":")
    assert not {"/usr", "/usr/local", "/opt"} & set(directories)
    assert "/usr/bin" in directories


def test_the_first_boot_waits_for_the_network_stage_and_is_over_when_it_was_done() -> None:
    """By the name of Kairos' own unit, which published configurations replace; in recovery and on a medium nothing is kept."""
    text = lines(UNITS / "kairos-agent.service")
    assert [line.value for line in text if line.key == "ConditionPathExists"] == ["!/usr/local/.kairos/sentinel_firstboot", "!/run/cos/recovery_mode", "!/run/cos/live_mode"]
    assert [line.value for line in text if line.key == "After"] == ["cos-setup-network.service"]
    assert [line.value for line in text if line.key == "ExecStart"] == ["/usr/bin/kairos-boot start"]


def test_one_connected_link_is_a_network() -> None:
    assert [line.value for line in lines(UNITS / "systemd-networkd-wait-online.service.d/10-any.conf") if line.key == "ExecStart"] == [
        "", "/usr/lib/systemd/systemd-networkd-wait-online --any",
    ]  # fmt: skip


def test_the_end_of_the_boot_costs_no_process_of_its_own() -> None:
    """The judgement is pulled in by stage network and ordered after it; the timer starts a unit that leaves the order out."""
    network = [line for path in sorted((UNITS / "cos-setup-network.service.d").glob("*.conf")) for line in lines(path)]
    assert ("Wants", "kairos-boot-assess.service") in [(line.key, line.value) for line in network]
    assert not [line for line in network if line.section == "Service"]
    assert values("kairos-boot-assess.service", "After") == ["cos-setup-network.service"]
    assert values("kairos-boot-assess.timer", "Unit") == ["kairos-boot-assess-late.service"]
    assert "--job-mode=ignore-dependencies" in values("kairos-boot-assess-late.service", "ExecStart")


def test_what_stage_network_judged_is_not_judged_again() -> None:
    from kairos_boot.cli.assess import JUDGED

    assert f"!{JUDGED}" in values("kairos-boot-assess.service", "ConditionPathExists")
