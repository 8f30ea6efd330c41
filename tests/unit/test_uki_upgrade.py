"""An upgrade of a node that is one signed file: what becomes of its menu and its programs, what is refused before anything changes, and every cut (6.2, 7.4)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import uki_upgrading
from kairos_boot.lifecycle.phases import Broken, Refused
from kairos_boot.lifecycle.resetting import CUTS
from kairos_boot.node import loader
from kairos_boot.system import efi
from kairos_boot.system.udev import CRYPT, Partition
from tests.namespace.initrds import initrd
from tests.unit.esp_node import Node, program, signature_list, word_of

if TYPE_CHECKING:
    from collections.abc import Callable
from pathlib import Path

ASKED = {"source": "file:/new.efi"}


def upgrade(node: Node, **asked: Any) -> tuple[str, ...]:
    return uki_upgrading.upgrade(node, {**ASKED, **asked}).failures  # type: ignore[arg-type]


def state(node: Node) -> dict[str, str]:
    """What each entry starts."""
    return {name.removesuffix(".conf").partition("+")[0]: node.starts(name.removesuffix(".conf").partition("+")[0]) for name in node.entries}


def test_what_was_active_becomes_passive_and_both_have_all_their_tries(tmp_path: Path) -> None:
    node = Node(tmp_path)
    assert upgrade(node) == ()
    assert state(node) == {"active": "two", "passive": "one", "recovery": "rescue"}
    assert node.entries == ["active+3.conf", "passive+3.conf", "recovery+3.conf"]
    assert node.programs == ["one", "rescue", "two"]
    assert [node.entry(name)["sort-key"] for name in ("active", "passive")] == ["0001", "0002"]
    assert [node.entry(name)["title"] for name in ("active", "passive")] == ["Node active", "Node active (fallback)"]
    assert efi.text(loader.ONE_SHOT, str(node.variables)) == "active.conf"
    assert not (tmp_path / "oem/.kairos/cOS/action.json").exists()


def test_the_stages_come_in_their_order(tmp_path: Path) -> None:
    node = Node(tmp_path)
    upgrade(node)
    assert node.emitted == ["kairos-uki-upgrade.pre", "before-upgrade", "after-upgrade", "kairos-uki-upgrade.after"]


def test_upgrades_follow_each_other_whatever_counters_the_entries_have(tmp_path: Path) -> None:
    """Also one that begins before the new system was ever started: what has not proved itself does not become passive."""
    node = Node(tmp_path)
    upgrade(node)
    node.source.write_bytes(program("three"))
    upgrade(node)
    assert state(node) == {"active": "three", "passive": "one", "recovery": "rescue"}
    [active] = [name for name in node.entries if name.startswith("active")]
    found = loader.parse(active)
    assert found is not None
    assert found.left == 3
    assert node.programs == ["one", "rescue", "three"]
    os.rename(node.menu / active, node.menu / "active.conf")  # it proved itself
    node.source.write_bytes(program("four"))
    upgrade(node)
    assert state(node) == {"active": "four", "passive": "three", "recovery": "rescue"}
    assert node.programs == ["four", "rescue", "three"]


def test_from_the_passive_system_that_one_stays(tmp_path: Path) -> None:
    node = Node(tmp_path, "passive", {"active+0-3": "bad", "passive": "zero", "recovery": "rescue"})
    upgrade(node)
    assert state(node) == {"active": "two", "passive": "zero", "recovery": "rescue"}
    assert "passive.conf" in node.entries
    assert node.programs == ["rescue", "two", "zero"]


@pytest.mark.parametrize("asked", [{"recovery": True}, {"entry": "recovery"}])
def test_an_upgrade_of_recovery_changes_nothing_else(tmp_path: Path, asked: dict[str, Any]) -> None:
    node = Node(tmp_path)
    upgrade(node, **asked)
    assert state(node) == {"active": "one", "passive": "zero", "recovery": "two"}
    assert {"active.conf", "passive.conf"} <= set(node.entries)
    assert node.entry("recovery")["title"] == "Node recovery"
    assert not efi.text(loader.ONE_SHOT, str(node.variables))


def test_any_other_entry_can_be_upgraded_alone_by_its_name(tmp_path: Path) -> None:
    """UPG-7"""
    node = Node(tmp_path, roles={"active": "one", "my_entry": "mine"})
    upgrade(node, entry="my entry")
    assert state(node) == {"active": "one", "my_entry": "two"}
    assert node.entry("my_entry")["title"] == "Node my_entry"


def test_an_entry_that_is_not_there_is_refused(tmp_path: Path) -> None:
    node = Node(tmp_path)
    before = snapshot(node)
    with pytest.raises(KairosError, match="no entry 'other'"):
        upgrade(node, entry="other")
    assert snapshot(node) == before


def test_a_node_without_a_passive_system_has_one_afterwards(tmp_path: Path) -> None:
    node = Node(tmp_path, roles={"active": "one"})
    upgrade(node)
    assert state(node) == {"active": "two", "passive": "one"}


def test_a_menu_that_lost_its_active_system_gets_one_again(tmp_path: Path) -> None:
    node = Node(tmp_path, "passive", {"passive": "zero", "recovery": "rescue"})
    upgrade(node)
    assert state(node) == {"active": "two", "passive": "zero", "recovery": "rescue"}
    assert node.entry("active")["title"] == "Node passive"


def test_the_same_system_once_more_is_nothing_to_do(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.source.write_bytes(program("one"))
    before = snapshot(node)
    assert upgrade(node) == ()
    assert snapshot(node) == before
    assert any("nothing to do" in text for text in node.told)


def test_a_damaged_system_is_written_anew_also_of_the_same_source(tmp_path: Path) -> None:
    node = Node(tmp_path)
    upgrade(node)
    damaged = node.esp / node.entry("active")["efi"].lstrip("/")
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    upgrade(node)
    assert (node.esp / node.entry("active")["efi"].lstrip("/")).read_bytes() == node.source.read_bytes()


def test_a_system_that_was_started_in_vain_is_not_tried_again_by_itself(tmp_path: Path) -> None:
    node = Node(tmp_path, "passive", {"active+0-3": "two", "passive": "zero"})
    with pytest.raises(KairosError, match="started in vain"):
        upgrade(node)


@pytest.mark.parametrize(("content", "said"), [
    (b"no program", "no EFI program"), (program("two")[:700], "cut off"), (program("two", machine=0x1C2), "another processor"),
    (program("two", cmdline="quiet"), "no signed system of a node"), (program("two", sections=(".linux",)), "no signed system of a node"),
])
def test_what_is_no_system_is_refused_and_nothing_changes(tmp_path: Path, content: bytes, said: str) -> None:
    node = Node(tmp_path)
    node.source.write_bytes(content)
    before = snapshot(node)
    with pytest.raises(KairosError, match=said):
        upgrade(node)
    assert snapshot(node) == before
    assert node.emitted == []


def test_a_default_that_names_the_active_system_becomes_a_comment_and_others_stay(tmp_path: Path) -> None:
    node = Node(tmp_path)
    conf = node.esp / "loader/loader.conf"
    conf.write_text("timeout 3\ndefault active+2-1.conf\n")
    upgrade(node)
    assert conf.read_text() == "timeout 3\n# once: active+2-1.conf\n"
    conf.write_text("default recovery.conf\n")
    node.source.write_bytes(program("three"))
    upgrade(node)
    assert conf.read_text() == "default recovery.conf\n"


def test_a_loader_that_wants_another_key_gets_it(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.set("LoaderInfo", "systemd-boot 259.1\0".encode("utf-16-le"))
    upgrade(node)
    assert "uki" in node.entry("active")
    assert "efi" not in node.entry("active")


def test_a_source_that_is_a_tree_has_its_system_where_image_makers_put_it(tmp_path: Path) -> None:
    node = Node(tmp_path)
    for name, text in (("EFI/kairos/norole.efi", program("two")), ("EFI/kairos/active.efi", program("other")), ("loader/entries/norole.conf", b"title New one\n")):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    upgrade(node, source="dir:/tree")
    assert node.starts("active") == "two"
    assert node.entry("active")["title"] == "New one"


@pytest.mark.parametrize("locked", [False, True])
def test_a_system_that_opens_no_containers_is_refused_where_the_node_has_some(tmp_path: Path, *, locked: bool) -> None:
    """Its initrd is a part of the signed file. Elsewhere it is taken."""
    node = Node(tmp_path)
    node.parts["persistent"] = Partition("/dev/vda3", fstype=CRYPT) if locked else Partition("/dev/dm-1", fstype="ext4", within="/dev/vda3")
    before = snapshot(node)
    node.source.write_bytes(program("two", initrd=initrd()))
    with pytest.raises(KairosError, match=r"opens no encrypted partitions: it lacks .*kairos-boot-crypt"):
        upgrade(node)
    assert snapshot(node) == before
    node.source.write_bytes(program("two", initrd=initrd(names=("usr/lib/systemd/system/kairos-boot-crypt.service",))))
    upgrade(node)
    assert state(node)["active"] == "two"


def test_a_hook_that_fails_before_stops_and_everything_is_as_it_was(tmp_path: Path) -> None:
    node = Node(tmp_path)
    before = snapshot(node)
    node.fails = {"before-upgrade": "a step"}
    with pytest.raises(Broken):
        upgrade(node)
    assert snapshot(node) == before
    assert len(upgrade(node, strict=False)) == 1
    assert node.starts("active") == "two"


def test_hooks_at_either_end_that_fail_stop_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.fails = dict.fromkeys(("kairos-uki-upgrade.pre", "after-upgrade", "kairos-uki-upgrade.after"), "a step")
    assert len(upgrade(node)) == 3
    assert node.starts("active") == "two"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two keys with their certificates."""
    if not shutil.which("sbsign") or not shutil.which("openssl"):
        pytest.skip("sbsign and openssl make signatures")
    place = tmp_path_factory.mktemp("keys")
    for name in ("db", "other"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}/", "-keyout", f"{name}.key", "-out", f"{name}.pem"], cwd=place, check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-in", f"{name}.pem", "-outform", "der", "-out", f"{name}.der"], cwd=place, check=True)
    return place


@pytest.fixture(scope="module")
def chain(keys: Path) -> Path:
    """A key whose certificate the key `db` signed."""
    for words in (("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=leaf/", "-keyout", "leaf.key", "-out", "leaf.csr"),
                  ("x509", "-req", "-in", "leaf.csr", "-CA", "db.pem", "-CAkey", "db.key", "-set_serial", "7", "-out", "leaf.pem"),
                  ("x509", "-in", "leaf.pem", "-outform", "der", "-out", "leaf.der")):
        subprocess.run(["openssl", *words], cwd=keys, check=True, capture_output=True)
    return keys


def signed(keys: Path, content: bytes, name: str = "db") -> bytes:
    (keys / "in").write_bytes(content)
    subprocess.run(["sbsign", "--key", f"{name}.key", "--cert", f"{name}.pem", "--output", "out", "in"], cwd=keys, check=True, capture_output=True)
    return (keys / "out").read_bytes()


@pytest.fixture
def secure(tmp_path: Path, keys: Path) -> Node:
    """A node whose firmware starts what the key db signed."""
    node = Node(tmp_path / "node")
    node.set("SecureBoot", b"\1", efi.GLOBAL)
    node.set("db", signature_list(efi.X509, [(keys / "db.der").read_bytes()]), efi.SECURITY)
    (node.esp / "EFI/kairos/active.efi").write_bytes(signed(keys, program("one")))
    node.source.write_bytes(signed(keys, program("two")))
    return node


def test_with_secure_boot_what_the_firmware_knows_is_taken(secure: Node) -> None:
    assert upgrade(secure) == ()
    assert state(secure) == {"active": "two", "passive": "one", "recovery": "rescue"}


def test_a_program_whose_hash_the_firmware_knows_needs_no_signature(secure: Node) -> None:
    secure.source.write_bytes(program("two"))
    from kairos_boot.system import authenticode

    own = authenticode.digest(authenticode.read(str(secure.source)), "sha256")
    secure.set("db", signature_list(efi.SHA256, [own]), efi.SECURITY)
    assert upgrade(secure) == ()
    assert state(secure)["passive"] == "zero"  # the firmware does not know the active one any more: it would not start


def test_a_key_counts_that_a_key_of_the_firmwares_vouches_for_unless_it_is_forbidden(secure: Node, chain: Path) -> None:
    secure.source.write_bytes(signed(chain, program("two"), "leaf"))
    secure.set("dbx", signature_list(efi.X509, [(chain / "leaf.der").read_bytes()]), efi.SECURITY)
    with pytest.raises(Refused, match="forbids the key"):
        upgrade(secure)
    secure.set("dbx", b"", efi.SECURITY)
    assert upgrade(secure) == ()
    assert secure.starts("active") == "two"


@pytest.mark.parametrize(("how", "said"), [("unsigned", "it is not signed"), ("other", "does not know"), ("altered", "altered"), ("denied key", "forbids the key"), ("denied", "forbids this very program")])
def test_with_secure_boot_what_would_not_start_is_refused_before_anything_changes(secure: Node, keys: Path, how: str, said: str) -> None:
    content = program("two") if how == "unsigned" else signed(keys, program("two"), "other" if how == "other" else "db")
    if how == "altered":
        content = content.replace(b".initrd two", b".initrd twO", 1)
    secure.source.write_bytes(content)
    if how == "denied key":
        secure.set("dbx", signature_list(efi.X509, [(keys / "db.der").read_bytes()]), efi.SECURITY)
    if how == "denied":
        from kairos_boot.system import authenticode

        secure.set("dbx", signature_list(efi.SHA256, [bytes(32), authenticode.digest(authenticode.read(str(secure.source)), "sha256")]), efi.SECURITY)
    before = snapshot(secure)
    with pytest.raises(Refused, match=said):
        upgrade(secure)
    assert snapshot(secure) == before


def snapshot(node: Node) -> dict[str, bytes]:
    """All that is on the ESP, and the marker."""
    return {str(path.relative_to(node.root)): path.read_bytes() for top in (node.esp, node.root / "oem") for path in top.rglob("*") if path.is_file()}


# Every cut: the process ends at one of the moments at which it changes the ESP, or the marker.

CHANGES = {"open": 2, "os.remove": 0, "os.rename": 0, "os.mkdir": 0}


def cut_upgrade(node: Node, at: int, entry: str) -> bool:
    """Upgrade in a process that ends before its change number *at*; whether it came to its end."""
    child = os.fork()
    if not child:
        left = at

        def hook(event: str, args: tuple[object, ...]) -> None:
            nonlocal left
            if event not in CHANGES or (event == "open" and not int(args[2]) & (os.O_WRONLY | os.O_RDWR)):  # type: ignore[call-overload]
                return
            if not left:
                os._exit(9)
            left -= 1

        try:
            node.host.path("/")
            sys.addaudithook(hook)
            upgrade(node, entry=entry)
        except BaseException:  # noqa: BLE001
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 0


def bootable(node: Node) -> dict[str, set[str]]:
    """What each entry may start; every program that an entry leads to is whole."""
    wholes = {word: program(word) for word in ("zero", "one", "two", "rescue")}
    found: dict[str, set[str]] = {}
    for name in node.entries:
        entry = loader.parse(name)
        text = (node.menu / name).read_text()
        if entry is None or not text:  # an entry that names no program is none for the boot loader
            continue
        content = (node.esp / loader.program(loader.read(node.host, entry)).lstrip("/")).read_bytes()
        assert content == wholes[word_of(content)]
        found.setdefault(entry.name, set()).add(word_of(content))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("entry", ["active", "recovery"])
def test_whenever_it_is_cut_each_entry_starts_a_whole_system_and_the_next_boot_ends_it(tmp_path: Path, entry: str) -> None:
    before, after = {"active": "one", "passive": "zero", "recovery": "rescue"}, {"active": {"active": "two", "passive": "one", "recovery": "rescue"}, "recovery": {"active": "one", "passive": "zero", "recovery": "two"}}[entry]
    ends = []
    for at in range(200):
        node = Node(tmp_path / str(at))
        done = cut_upgrade(node, at, entry)
        found = bootable(node)
        assert set(found) == set(before)
        assert all(words <= {before[name], after[name]} for name, words in found.items())
        uki_upgrading.settle(node)  # type: ignore[arg-type]
        ends.append(state(node))
        assert len(node.entries) == 3
        assert ends[-1] in (before, after, {**before, "passive": "one"})
        assert not (node.root / "oem/.kairos/cOS/action.json").exists()
        node.emitted.clear()
        if ends[-1] != after:
            upgrade(node, entry=entry)
            assert state(node)[entry] == "two"
        assert set(node.programs) == set(state(node).values())
        if done:
            break
    assert done
    assert before in ends
    assert ends.count(after) > 3


def cut_behind_the_switch(node: Node) -> Callable[[str, str], str]:
    """An upgrade whose stage after-upgrade ends the node, as each later one does; what emits stages without that."""
    emit = node.emit

    def cut(stage: str, root: str) -> str:
        if stage == "after-upgrade":
            raise KeyboardInterrupt
        return emit(stage, root)

    node.emit = cut  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        upgrade(node)
    return emit


def test_behind_the_switch_the_next_boot_runs_the_stages_that_are_left(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.emit, node.emitted = cut_behind_the_switch(node), []  # type: ignore[method-assign,assignment]
    assert "behind its switch" in uki_upgrading.settle(node)  # type: ignore[arg-type]
    assert node.emitted == ["after-upgrade", "kairos-uki-upgrade.after"]
    assert uki_upgrading.settle(node) == ""  # type: ignore[arg-type]


def test_a_stage_that_ends_every_boot_is_given_up_and_that_is_in_the_record(tmp_path: Path) -> None:
    """Who looks at the node later finds what was never done, and what to do."""
    node = Node(tmp_path)
    cut_behind_the_switch(node)
    for _ in range(CUTS - 1):
        with pytest.raises(KeyboardInterrupt):
            uki_upgrading.settle(node)  # type: ignore[arg-type]
    node.ledger.entries.clear()
    assert "but for the phase after-upgrade" in uki_upgrading.settle(node)  # type: ignore[arg-type]
    failed = [entry for entry in node.ledger.entries if entry.get("result") == "failed"]
    assert [(entry["phase"], entry["error"]) for entry in failed] == [("after-upgrade", f"given up: {CUTS} boots began it, and none came to its end")]
    assert failed[0]["hint"]


def test_the_plan_is_what_runs_and_changes_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path)
    before = snapshot(node)
    planned = [phase["phase"] for phase in uki_upgrading.plan_of(node, ASKED)]  # type: ignore[arg-type]
    assert snapshot(node) == before
    assert node.emitted == []
    upgrade(node)
    assert [entry["phase"] for entry in node.ledger.entries if entry.get("event") == "start"] == planned
