"""Requirements: one append-only, crash-safe record per boot (E1)."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kairos_boot.stages.ledger import BOOTS, TEXT, Ledger, encode, kept, read
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path


def ledger(tmp_path: Path, boot: str = "b1") -> Ledger:
    return Ledger(str(tmp_path / "run"), boot, clock=lambda: 1000.5, monotonic=lambda: 7.25)


def lines(of: Ledger) -> list[dict[str, object]]:
    with open(of.path, "rb") as file:
        return read(file.read())[0]


def test_a_record_has_both_clocks_and_its_fields(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    book.write("step", stage="boot", step="A.x", result="done", duration=0.25)
    assert lines(book) == [{"kind": "step", "time": 1000.5, "uptime": 7.25, "stage": "boot", "step": "A.x", "result": "done",
                            "duration": 0.25}]
    assert stat.S_IMODE(os.stat(book.path).st_mode) == 0o640


@pytest.mark.parametrize("value", [
    "plain", 'quo"te', "back\\slash", "two\nlines\r\n\ttab", "\x00\x1b[31m\x7f", "ünï cödé 🚢", "\u2028\u0085", "lone \udc80 byte", "",
    0, -5, 2**70, 1.5, -0.001, True, False, None, [1, "a", [None]], {"k": {"n": ["x\n"]}},
])
def test_what_is_written_is_json_on_one_line(value: object) -> None:
    text = encode(value).encode("utf-8", "backslashreplace")
    assert b"\n" not in text
    assert json.loads(text) == value


def test_numbers_that_json_lacks_are_null() -> None:
    assert [encode(float(x)) for x in ("nan", "inf", "-inf")] == ["null"] * 3


def test_a_long_text_keeps_its_start_and_its_end() -> None:
    text = json.loads(encode("a" * TEXT + "b" * TEXT))
    assert text.startswith("a" * (TEXT // 2))
    assert text.endswith("b" * (TEXT // 2))
    assert f"{TEXT} characters left out" in text


def test_a_torn_last_line_costs_only_itself(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    book.write("boot", mode="active")
    book.close()
    with open(book.path, "ab") as file:
        file.write(b'{"kind": "step", "sta')
    later = ledger(tmp_path)
    later.write("boot", mode="again")
    with open(book.path, "rb") as file:
        records, damaged = read(file.read())
    assert [r["mode"] for r in records] == ["active", "again"]
    assert damaged == 1


def test_every_cut_leaves_the_records_before_it(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    for number in range(3):
        book.write("boot", number=number, text="ünï\n")
    with open(book.path, "rb") as file:
        data = file.read()
    ends = [i for i, byte in enumerate(data) if byte == 10]
    for cut in range(len(data)):
        whole = sum(end <= cut for end in ends)
        assert [r["number"] for r in read(data[:cut])[0]][:whole] == list(range(whole))


def test_two_writers_do_not_mix_their_lines(tmp_path: Path) -> None:
    program = ("import sys; from kairos_boot.stages.ledger import Ledger; b = Ledger(sys.argv[1], 'b1')\n"
               "for i in range(300): b.write('step', who=sys.argv[2], number=i, text='x' * 3000)")
    folder = str(tmp_path / "run")
    running = [subprocess.Popen([sys.executable, "-c", program, folder, who]) for who in "ab"]
    assert [p.wait(60) for p in running] == [0, 0]
    with open(f"{folder}/b1.jsonl", "rb") as file:
        records, damaged = read(file.read())
    assert damaged == 0
    for who in "ab":
        assert [r["number"] for r in records if r["who"] == who] == list(range(300))


def test_a_place_that_cannot_be_written_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file, no directory")
    book = ledger(tmp_path)
    book.write("boot")
    assert "run/b1.jsonl" in book.error


def test_the_last_boots_are_kept_in_their_order(tmp_path: Path) -> None:
    host = Host(str(tmp_path / "root"))
    (tmp_path / "root/var/log/kairos-boot").mkdir(parents=True)
    (tmp_path / "root/var/log/kairos-boot/000000-cut.jsonl.new").write_text("of a boot that was cut while it copied")
    for number in range(BOOTS + 3):
        book = ledger(tmp_path, f"boot{number}")
        book.write("boot", number=number)
        assert book.keep(host)
        book.write("boot", number=number)
        assert book.keep(host)
    folder = tmp_path / "root/var/log/kairos-boot"
    assert [boot for _, boot, _ in kept(str(folder))] == [f"boot{n}" for n in range(3, BOOTS + 3)]
    assert sorted(os.listdir(folder)) == [name for _, _, name in kept(str(folder))]  # nothing else is left there
    newest = folder / kept(str(folder))[-1][2]
    assert read(newest.read_bytes())[0] == lines(book)
    assert stat.S_IMODE(newest.stat().st_mode) == 0o640


def test_a_log_directory_that_cannot_be_written_is_recorded_once(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/var").write_text("in the way")
    book = ledger(tmp_path)
    book.write("boot")
    assert not book.keep(Host(str(tmp_path / "root")))
    assert not book.keep(Host(str(tmp_path / "root")))
    assert [r["kind"] for r in lines(book)] == ["boot", "kept"]


def test_writing_imports_neither_json_nor_re(tmp_path: Path) -> None:
    program = ("import sys; from kairos_boot.stages.ledger import Ledger\n"
               "b = Ledger(sys.argv[1], 'b'); b.write('boot', mode='x'); print(*sorted({'json', 're', 'typing'} & set(sys.modules)))")
    done = subprocess.run(["/usr/bin/python3", "-S", "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("line", [
    b'{"kind": "x", "n": [1, -2.5, 1e3, true, null, "\\u00fc\\n"]}', b' {"kind": "x"}\t\r', '{"kind": "ü🚢"}'.encode(), b'{"kind": "x", "kind": "y"}',
    b'{"kind": "x"', b'{"kind": "x"} {', b'{"kind": "x",}', b'{"kind": "\x01"}', b'{"kind": "\xff"}', b"[", b"]", b'"', b'"\\', b"nul", b"NaN", b"-Infinity", b'{"kind": "x", "n": 1e999}',
    b'{"kind": "x", "n": NaN}', b'{"kind": "\\ud800"}', b"{1: 2}", b"{" * 40, b'\xef\xbb\xbf{"kind": "x"}',
])  # fmt: skip
def test_a_line_reads_as_pythons_json_reads_it(line: bytes) -> None:
    """By its half that is C, whose errors have no names where the other half was never imported."""
    program = "import sys; from kairos_boot.stages.ledger import read\nprint(ascii(read(bytes.fromhex(sys.argv[1]))), ascii(sys.modules.get('json') and 'json'))"
    done = subprocess.run(["/usr/bin/python3", "-S", "-c", program, line.hex()], capture_output=True, text=True, check=True, timeout=60)

    def finite(text: str) -> float:
        if float(text) in (float("inf"), float("-inf")) or text == "NaN":
            raise ValueError
        return float(text)

    try:
        value = json.loads(line, parse_constant=finite, parse_float=finite)
    except ValueError:
        value = None
    expected = ([value], 0) if isinstance(value, dict) else ([], 1)
    assert done.stdout.startswith(f"{expected!a} ")


def test_reading_a_whole_record_imports_no_json(tmp_path: Path) -> None:
    """It is what the judgement of each boot does, and the end of the boot waits for it."""
    book = ledger(tmp_path)
    book.write("step", stage="boot", step='"A".x', result="done", duration=0.25, reasons=["a\n", None, True, 2])
    program = ("import sys; from kairos_boot.stages.ledger import read\n"
               "r, damaged = read(open(sys.argv[1], 'rb').read()); print(len(r), damaged, *sorted({'json', 're', 'typing'} & set(sys.modules)))")
    done = subprocess.run(["/usr/bin/python3", "-S", "-c", program, book.path], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["1", "0"]
