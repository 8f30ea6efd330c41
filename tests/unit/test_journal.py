"""Requirements: structured fields in the journal, plain lines elsewhere, never both in one place (E2)."""

from __future__ import annotations

import os
import re
import socket
from typing import TYPE_CHECKING

import pytest

from kairos_boot.system.journal import MESSAGE_IDS, Journal, datagram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def fields(data: bytes) -> dict[str, str]:
    """The journal's reading of a datagram."""
    found = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8:8 + size], rest[8 + size + 1:]
        found[name.decode()] = value.decode()
        data = rest
    return found


class Lab:
    """A journal socket and a standard error, both readable."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "socket")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.stderr: TextIO = open(folder / "stderr", "w+")  # noqa: SIM115
        found = os.fstat(self.stderr.fileno())
        self.stream = f"{found.st_dev}:{found.st_ino}"

    def journal(self, **environment: str) -> Journal:
        return Journal(environment, self.path, self.stderr)

    def messages(self) -> list[dict[str, str]]:
        found = []
        while True:
            try:
                found.append(fields(self.socket.recv(1 << 20)))
            except BlockingIOError:
                return found

    def lines(self) -> list[str]:
        self.stderr.seek(0)
        return self.stderr.read().splitlines()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.socket.close()
    lab.stderr.close()


def test_as_a_service_a_message_is_in_the_journal_once_with_its_fields(lab: Lab) -> None:
    log = lab.journal(JOURNAL_STREAM=lab.stream, INVOCATION_ID="x")
    log(3, "/oem/a.yaml:1:2: no\nsecond line", kind="failure", stage="boot", step="A.x", file="/oem/a.yaml", module="files")
    assert lab.messages() == [{
        "MESSAGE": "/oem/a.yaml:1:2: no\nsecond line", "PRIORITY": "3", "SYSLOG_IDENTIFIER": "kairos-boot", "MESSAGE_ID": MESSAGE_IDS["failure"],
        "KAIROS_EVENT": "failure", "KAIROS_STAGE": "boot", "KAIROS_STEP": "A.x", "KAIROS_FILE": "/oem/a.yaml", "KAIROS_MODULE": "files"}]
    assert lab.lines() == []


def test_on_a_terminal_a_message_is_a_plain_line(lab: Lab) -> None:
    lab.journal()(6, "Skipped A.x", stage="boot")
    assert lab.lines() == ["Skipped A.x"]


def test_a_run_by_hand_is_in_the_journal_too_whatever_the_terminal_shows(lab: Lab) -> None:
    log = lab.journal(LOGLEVEL="error")
    log(6, "Skipped A.x", stage="boot")
    log(7, "echo quince:\nquince", kind="output", step="A.x")
    assert lab.lines() == []
    assert [(m["MESSAGE"], m["PRIORITY"]) for m in lab.messages()] == [("Skipped A.x", "6"), ("echo quince:\nquince", "7")]


def test_what_a_command_said_does_nothing_to_a_terminal(lab: Lab) -> None:
    lab.journal()(3, "exit status 3\n\x1b]0;pwn\x07\ttab\rover")
    assert lab.lines() == ["exit status 3", "\\x1b]0;pwn\\x07\ttab\\rover"]


def test_a_service_whose_standard_error_is_elsewhere_has_both(lab: Lab) -> None:
    lab.journal(INVOCATION_ID="x", JOURNAL_STREAM="1:2")(4, "careful")
    assert lab.lines() == ["careful"]
    assert [m["MESSAGE"] for m in lab.messages()] == ["careful"]


@pytest.mark.parametrize(("level", "shown"), [("", [3, 4, 6]), ("debug", [3, 4, 6, 7]), ("ERROR", [3]), ("warning", [3, 4]), ("warn", [3, 4, 6])])
def test_loglevel_limits_what_a_terminal_shows(lab: Lab, level: str, shown: list[int]) -> None:
    log = lab.journal(LOGLEVEL=level)
    for priority in (3, 4, 6, 7):
        log(priority, str(priority))
    assert lab.lines() == list(map(str, shown))


def test_without_a_journal_nothing_is_lost(lab: Lab) -> None:
    os.unlink(lab.path)
    lab.journal(JOURNAL_STREAM=lab.stream)(3, "first\nsecond")
    assert lab.lines() == ["<3>first", "<3>second"]  # systemd reads the priority off each line
    os.ftruncate(lab.stderr.fileno(), 0)
    lab.journal(INVOCATION_ID="x")(3, "first")
    assert lab.lines()[-1].endswith("first")


def test_any_text_can_be_said(lab: Lab) -> None:
    log = lab.journal(INVOCATION_ID="x")
    log(6, "lone \udc80 byte, \x00, = and ünï", step="a\nb=c\n\n")
    [message] = lab.messages()
    assert message["MESSAGE"] == "lone \\udc80 byte, \x00, = and ünï"
    assert message["KAIROS_STEP"] == "a\nb=c\n\n"
    log(3, "x" * 300_000 + "the end")
    [message] = lab.messages()
    assert message["MESSAGE"].endswith("the end")
    assert len(message["MESSAGE"]) < 70_000
    log(3, "ü" * 300_000 + "the end")
    [message] = lab.messages()
    assert message["MESSAGE"].endswith("the end")
    assert len(message["MESSAGE"].encode()) < 70_000


def test_a_closed_standard_error_is_no_crash(lab: Lab) -> None:
    log = lab.journal()
    lab.stderr.close()
    log(3, "nobody reads")


def test_a_line_break_is_given_with_its_length() -> None:
    assert datagram(6, "a\nb", {}) == b"MESSAGE\n" + (3).to_bytes(8, "little") + b"a\nb\nPRIORITY=6\nSYSLOG_IDENTIFIER=kairos-boot\n"


def test_every_event_is_in_the_catalog_and_the_other_way_round() -> None:
    with open(f"{ROOT}/packaging/catalog/kairos-boot.catalog", encoding="utf-8") as file:
        text = file.read()
    assert sorted(re.findall(r"^-- ([0-9a-f]{32})$", text, re.MULTILINE)) == sorted(MESSAGE_IDS.values())
    for entry in text.split("\n-- ")[1:]:
        assert "\nSubject: " in entry
