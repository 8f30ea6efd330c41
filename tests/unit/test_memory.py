"""The record of parsed documents: fresh, safe, and cheap (architecture, Start-up)."""

from __future__ import annotations

import marshal
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kairos_boot.cloudconfig.model import Document
from kairos_boot.loading import memory as module
from kairos_boot.loading.documents import RECORD, Sources
from kairos_boot.loading.memory import Memory
from kairos_boot.loading.sources import load
from kairos_boot.system.host import Host
from kairos_boot.system.reader import HostReader

OLD = (1_600_000_000, 1_600_000_000)


class Reader(HostReader):
    """A reader that counts what it reads; its clock stands an hour from now, so that new files count as settled."""

    def __init__(self, root: Path, later: float = 3600.0) -> None:
        import time

        super().__init__(Host(str(root), clock=lambda: time.time() + later))
        self.read_files: list[str] = []
        self.written: list[str] = []

    def read(self, path: str) -> bytes:
        self.read_files.append(path)
        return super().read(path)

    def keep(self, path: str, data: bytes) -> None:
        self.written.append(path)
        super().keep(path, data)


def write(root: Path, name: str, text: str) -> Path:
    target = root / "oem" / name
    target.parent.mkdir(exist_ok=True)
    target.write_text(text)
    return target


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """Two good documents, a broken one and one with a warning, read once."""
    write(tmp_path, "1.yaml", "name: R\nstages: {s: [{name: a, files: [{path: /f, permissions: 0600}]}]}\n")
    write(tmp_path, "2.yaml", "#cloud-config\nruncmd: [x]\n")
    write(tmp_path, "3.yaml", "stages: [\n")
    write(tmp_path, "4.yaml", "nmae: x\n")
    return tmp_path


def again(root: Path, **more: float) -> tuple[list[Document], Reader]:
    reader = Reader(root, **more)
    return load(["/oem"], reader, memory=Memory(reader, RECORD)), reader


def test_the_second_start_reads_no_document(node: Path) -> None:
    """The same documents with the same problems come out of the record, which is written once."""
    first, reader = again(node)
    assert reader.read_files == [f"/oem/{n}.yaml" for n in (1, 2, 3, 4)]
    assert reader.written == [RECORD]
    second, reader = again(node)
    assert second == first
    assert [d.steps("boot") for d in second] == [d.steps("boot") for d in first]
    assert (reader.read_files, reader.written) == ([], [])


def test_a_second_load_in_one_start_reads_no_document_even_without_a_record(node: Path) -> None:
    reader = Reader(node)
    sources = Sources(reader, ["/oem"])
    assert sources.load() == sources.load()
    assert len(reader.read_files) == 4
    assert reader.written == []


def test_an_address_and_standard_input_are_asked_once_in_a_run(node: Path) -> None:
    """Three graphs are loaded in a stage; a stream has no second reading, and a server may be gone by then. Their place among the sources stays."""
    asked: list[str] = []

    class Passing(Reader):
        def fetch(self, url: str) -> bytes:
            asked.append(url)
            return b"stages: {s: [{name: far}]}"

        def stdin(self) -> bytes:
            asked.append("-")
            return b"stages: {s: [{name: piped}]}"

    sources = Sources(Passing(node), ["-", "/oem/1.yaml", "http://h/x"], record=RECORD)
    first = sources.load()
    assert [s.name for d in first for s in d.steps("s")] == ["piped", "a", "far"]
    write(node, "1.yaml", "stages: {s: [{name: new}]}\n")
    assert [s.name for d in sources.load() for s in d.steps("s")] == ["piped", "new", "far"]
    assert asked == ["-", "http://h/x"]
    default = Sources(Passing(node), cmdline="kairos.config_url=http://h/y ro")
    assert default.load() == default.load()
    assert asked == ["-", "http://h/x", "http://h/y"]


def test_what_is_gone_is_forgotten(node: Path) -> None:
    """What was in it may be secret, and the record must not grow; what another run has read and is still there stays known."""
    write(node, "9.yaml", "stages: {s: [{name: gone, commands: [sesame]}]}\n")
    again(node)
    record = node / RECORD[1:]
    assert b"sesame" in record.read_bytes()
    (node / "oem/9.yaml").unlink()
    _, reader = again(node)
    assert reader.read_files == []
    assert b"sesame" not in record.read_bytes()
    other = node / "other.yaml"
    other.write_text("stages: {s: [{name: other}]}\n")
    Sources(Reader(node), ["/other.yaml"], record=RECORD).load()
    (_, reader), (_, third) = again(node), again(node)
    assert (reader.read_files, reader.written, third.written) == ([], [], [])


def test_the_record_is_the_users_alone(node: Path) -> None:
    again(node)
    record = node / RECORD[1:]
    assert record.stat().st_mode & 0o7777 == 0o600
    assert [p.name for p in record.parent.iterdir()] == ["documents"]


@pytest.mark.parametrize("change", ["content", "same size", "inode", "times", "new"])
def test_a_changed_file_is_read_again_and_only_it(node: Path, change: str) -> None:
    again(node)
    path = node / "oem/1.yaml"
    text = path.read_text()
    if change == "content":
        path.write_text(text.replace("name: a", "name: changed"))
    elif change == "same size":
        status = path.stat()
        path.write_text(text.replace("name: a", "name: b"))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "inode":
        (node / "new").write_text(text.replace("name: a", "name: c"))
        os.replace(node / "new", path)
    elif change == "times":
        os.utime(path, OLD)
    else:
        path = write(node, "5.yaml", "stages: {s: [{name: new}]}\n")
    documents, reader = again(node)
    assert reader.read_files == [f"/oem/{path.name}"]
    assert reader.written == [RECORD]
    assert next(d for d in documents if d.source.endswith(path.name)).stages == load([f"/oem/{path.name}"], Reader(node))[0].stages


def test_a_removed_file_is_gone(node: Path) -> None:
    again(node)
    (node / "oem/1.yaml").unlink()
    assert [d.source for d in again(node)[0]] == ["/oem/2.yaml", "/oem/3.yaml", "/oem/4.yaml"]


def test_the_target_of_a_link_counts(node: Path) -> None:
    (node / "oem/0.yaml").symlink_to("/oem/1.yaml")
    again(node)
    (node / "oem/1.yaml").write_text("stages: {s: [{name: other}]}\n")
    assert [s.name for s in again(node)[0][0].steps("s")] == ["other"]


def test_a_file_written_just_now_is_not_kept(node: Path) -> None:
    """Within the grain of the clock it could change once more and look the same."""
    assert again(node, later=0.0)[1].written == []
    reader = Reader(node, later=0.0)
    sources = Sources(reader, ["/oem"])
    sources.load()
    sources.load()
    assert len(reader.read_files) == 8


@pytest.mark.parametrize("damage", [
    b"", b"garbage", b"\xff" * 100, "cut", marshal.dumps(None), marshal.dumps((1, 2, 3)), marshal.dumps(("other", {})), marshal.dumps((module.VERSION, 5)),
])
def test_a_torn_or_foreign_record_counts_as_none(node: Path, damage: bytes | str) -> None:
    first, _ = again(node)
    record = node / RECORD[1:]
    record.write_bytes(record.read_bytes()[:-20] if isinstance(damage, str) else damage)
    second, reader = again(node)
    assert second == first
    assert len(reader.read_files) == 4
    assert again(node)[1].read_files == []


@pytest.mark.parametrize("position", range(len(module.VERSION)))
def test_a_record_of_another_version_counts_as_none(node: Path, position: int) -> None:
    """Of the program, of Python, of marshal, or of the record itself."""
    again(node)
    record = node / RECORD[1:]
    version, entries = marshal.loads(record.read_bytes()[module.SUM:])
    data = marshal.dumps(((*version[:position], "other", *version[position + 1:]), entries))
    record.write_bytes(module._sum(data) + data)
    assert len(again(node)[1].read_files) == 4


def test_a_flipped_bit_anywhere_makes_it_none(node: Path) -> None:
    """Not a step less, not another command: nothing of a damaged record is believed."""
    first = again(node)[0]
    record = node / RECORD[1:]
    whole = record.read_bytes()
    for at in range(0, len(whole), 7):
        record.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1:])
        documents, reader = again(node)
        assert documents == first
        assert len(reader.read_files) == 4, at
    record.write_bytes(whole)
    assert again(node)[1].read_files == []


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.write_bytes(b""), lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_record_is_none(node: Path, make: Callable[[Path], None]) -> None:
    """A directory, a FIFO, nothing at all."""
    again(node)
    (node / RECORD[1:]).unlink()
    make(node / RECORD[1:])
    assert len(again(node)[1].read_files) == 4


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o602])
def test_a_record_that_others_could_have_written_or_read_counts_as_none(node: Path, mode: int) -> None:
    again(node)
    (node / RECORD[1:]).chmod(mode)
    assert len(again(node)[1].read_files) == 4


def test_a_link_in_the_place_of_the_record_counts_as_none(node: Path) -> None:
    again(node)
    (node / RECORD[1:]).rename(node / "elsewhere")
    (node / RECORD[1:]).symlink_to("../../elsewhere")
    assert len(again(node)[1].read_files) == 4


@pytest.mark.root
def test_a_record_of_another_user_counts_as_none(node: Path) -> None:
    again(node)
    os.chown(node / RECORD[1:], 1234, 1234)
    assert len(again(node)[1].read_files) == 4


def test_a_place_that_cannot_be_written_costs_nothing(node: Path) -> None:
    (node / "run").write_text("no directory")
    documents, _ = again(node)
    assert len(documents) == 4


def test_dot_notation_never_comes_out_of_the_record(node: Path) -> None:
    write(node, "1.yaml", "stages.s[0].name=dots\n")
    again(node)
    [document, *_] = Sources(Reader(node), ["/oem"], dotnotation=True, record=RECORD).load()
    assert [s.name for s in document.steps("s")] == ["dots"]
