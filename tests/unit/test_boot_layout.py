"""cos-layout.env and what becomes of it (immucore's keys)."""

from __future__ import annotations

import pytest

from kairos_boot.boot import layout
from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.layout import RW_PATHS, Volume
from kairos_boot.system.keyvalue import lines

ENV, EXTRA = layout.FILE, layout.EXTRA_FILE


def load(files: dict[str, str], cmdline: str = "", *, recovery: bool = False) -> layout.RootLayout:
    """The layout of these files."""
    data = {path: text.encode() for path, text in files.items()}
    return layout.load(data.get, Cmdline(cmdline), recovery=recovery)


@pytest.mark.parametrize(("text", "values"), [
    ('A="b c"\nB=d # e\nC=\'$A "x"\'\n', {"A": "b c", "B": "d", "C": '$A "x"'}),
    ('A="x \\"y\\" \\$z \\\\ \\`"', {"A": 'x "y" $z \\ `'}), ('A=1\nB="${A} $A2 $A"', {"A": "1", "B": "1  1"}), ("export A=1\n\n# c\nA=2", {"A": "2"}),
    ('A="one\ntwo"\nB=3', {"A": "one\ntwo", "B": "3"}), ("A=\nB=#x\nC=a#b", {"A": "", "B": "#x", "C": "a#b"}), ('A="a\\!b\\nc"', {"A": "a!b\nc"}), ("A=b=c", {"A": "b=c"}), ('A="x" # c', {"A": "x"}),
])
def test_dotenv_values(text: str, values: dict[str, str]) -> None:
    assert {name: value for name, value, _, fault in lines(text, {}) if name or fault} == values


def test_what_is_wrong_in_a_dotenv_file_is_told_with_its_line_and_the_rest_counts() -> None:
    found = load({ENV: 'OVERLAY="tmpfs:30%"\nwhat is this\nB="open\nPERSISTENT_STATE_PATHS=/etc/x\n'})
    assert "/etc/x" in found.state_paths
    assert [text.split(": ")[0] for text in found.problems] == [f"{ENV}:2", f"{ENV}:3"]


def test_defaults_without_a_layout_file() -> None:
    found = load({})
    assert (found.rw_paths, found.state_paths, found.state_target, found.overlay, found.volumes, found.found) == (
        RW_PATHS, (), "/usr/local/.state", "tmpfs:20%", (), False)


def test_the_shipped_layout() -> None:
    found = load({ENV: 'VOLUMES="LABEL=COS_PERSISTENT:/usr/local"\nOVERLAY="tmpfs:25%"\nRW_PATHS="/var /etc /srv"\nPERSISTENT_STATE_PATHS="/etc/ssh  /home /etc/ssh"'})
    assert found.rw_paths == ("/var", "/etc", "/srv")
    assert found.state_paths == ("/etc/ssh", "/home")
    assert found.overlay == "tmpfs:25%"
    assert found.volumes == (Volume("LABEL=COS_PERSISTENT", "/usr/local", ("rw",)),)
    assert not found.problems


def test_the_lists_of_the_user_and_of_the_distribution_are_added() -> None:
    found = load({ENV: 'PERSISTENT_STATE_PATHS="/a /b"\nCUSTOM_BIND_MOUNTS="/b /c"', EXTRA: 'PERSISTENT_STATE_PATHS="/snap /a/"'})
    assert found.state_paths == ("/a", "/b", "/c", "/snap")


def test_the_layout_wins_over_the_command_line_for_the_overlay_and_adds_its_volumes() -> None:
    found = load({ENV: 'OVERLAY=LABEL=x\nVOLUMES="LABEL=b:/b LABEL=a:/a2"'}, "rd.cos.overlay=tmpfs:5% rd.immucore.mount=LABEL=a:/a rd.cos.mount=LABEL=c:/b")
    assert found.overlay == "LABEL=x"
    assert [(v.spec, v.path, v.options) for v in found.volumes] == [("LABEL=b", "/b", ("ro",)), ("LABEL=a", "/a2", ("ro",))]


def test_a_device_path_with_colons_is_a_volume() -> None:
    assert load({ENV: "VOLUMES=/dev/disk/by-path/pci-0000:00:1f.2-part1:/data"}).volumes == (Volume("/dev/disk/by-path/pci-0000:00:1f.2-part1", "/data"),)


@pytest.mark.parametrize("line", ["RW_PATHS=var", "RW_PATHS=/", "RW_PATHS=/a/../b", "VOLUMES=LABEL=x", "VOLUMES=LABEL=x:data"])
def test_what_is_no_path_or_no_volume_is_a_problem(line: str) -> None:
    assert len(load({ENV: line}).problems) == 1


def test_recovery_has_the_default_writable_paths_and_nothing_of_the_persistent_partition() -> None:
    found = load({ENV: 'OVERLAY="tmpfs:25%"\nRW_PATHS="/scratch"\nVOLUMES="LABEL=COS_PERSISTENT:/usr/local LABEL=d:/d"\nPERSISTENT_STATE_PATHS=/home'}, recovery=True)
    assert found.rw_paths == (*RW_PATHS, "/scratch")
    assert [v.spec for v in found.volumes] == ["LABEL=d"]
    assert found.state_paths == ()
