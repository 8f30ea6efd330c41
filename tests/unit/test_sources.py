"""Sources: what is read, in which order, and what each is called (A1, B1, B5, B10)."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from kairos_boot.cloudconfig.model import Document
from kairos_boot.errors import KairosError
from kairos_boot.loading.cmdline import config_uri
from kairos_boot.loading.sources import clean, load, walk
from kairos_boot.system.host import Host
from kairos_boot.system.reader import HostReader


class Reader(HostReader):
    """A reader whose network and standard input are given."""

    def __init__(self, root: Path, stdin: bytes = b"", urls: dict[str, bytes] | None = None) -> None:
        super().__init__(Host(str(root)))
        self.given, self.urls, self.fetched = stdin, urls or {}, list[str]()

    def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if url not in self.urls:
            raise KairosError("HTTP status 404", url, "look at the address")
        return self.urls[url]

    def stdin(self) -> bytes:
        return self.given


def write(root: Path, **files: str) -> None:
    """Files below *root*: the text by the path."""
    for path, text in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def step(name: str) -> str:
    return f"stages: {{s: [{{name: {name}}}]}}\n"


def names(documents: list[Document]) -> list[str]:
    """The steps of s, each as DOCUMENT-NAME:STEP."""
    return [f"{d.name}:{s.name}" for d in documents for s in d.steps("s")]


def messages(documents: list[Document]) -> list[str]:
    return [str(p) for d in documents for p in d.problems]


def test_a_directory_is_walked_in_byte_order_of_its_entries(tmp_path: Path) -> None:
    """A directory stands at its own place; hidden files count; only .yaml and .yml, in lower case."""
    paths = ["10.yaml", "9.yaml", "B.yaml", "_x.yaml", "a.yml", "sub/z.yaml", "sub-x.yaml", "sub.yaml", ".hid/a.yaml", ".hidden.yaml", ".yaml", "00_.yaml", "d.yaml/x.yaml",
             "ü.yaml", "c.YAML", "c.yaml.bak", "c.json", "c.yamlx", "yaml"]
    write(tmp_path, **{f"/oem/{p}": step("x") for p in paths})
    assert [d.source for d in load(["/oem"], Reader(tmp_path))] == [f"/oem/{p}" for p in (
        ".hid/a.yaml", ".hidden.yaml", ".yaml", "00_.yaml", "10.yaml", "9.yaml", "B.yaml", "_x.yaml", "a.yml", "d.yaml/x.yaml", "sub/z.yaml", "sub-x.yaml", "sub.yaml", "ü.yaml")]


@pytest.mark.parametrize(("given", "cleaned"), [("/oem", "/oem"), ("/oem/", "/oem"), ("//oem", "/oem"), ("/oem//sub/../", "/oem"), ("./d/", "d"), ("d/.", "d"), ("/", "/"), (".", ".")])
def test_the_name_of_a_directory_is_cleaned(given: str, cleaned: str) -> None:
    assert clean(given) == cleaned


def test_root_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As yip names steps: cleaned below a directory, verbatim for a file and a URL, <STDIN> for standard input, else the document's name."""
    write(tmp_path, **{"d/01.yaml": step("a"), "d/02.yaml": "name: R\n" + step("b")})
    monkeypatch.chdir(tmp_path)
    reader = Reader(Path("/"), step("c").encode(), {"http://h/x.yaml?a=b#c": step("d").encode()})
    assert names(load(["./d/", "./d/../d/01.yaml", "-", "http://h/x.yaml?a=b#c"], reader)) == [
        "d/01.yaml:a", "R:b", "./d/../d/01.yaml:a", "<STDIN>:c", "http://h/x.yaml:d"]  # a query may be a token
    assert names(load(["."], reader)) == ["d/01.yaml:a", "R:b"]


def test_one_bad_file_costs_itself_only(tmp_path: Path) -> None:
    """B1: broken YAML, a dangling link, a link to a directory, a link that turns in circles."""
    write(tmp_path, **{"oem/1.yaml": step("a"), "oem/2.yaml": "stages: [\n", "oem/9.yaml": step("z"), "srv/real.yaml": step("l"), "srv/dir/x.yaml": step("never")})
    (tmp_path / "oem/3.yaml").symlink_to("/srv/nowhere.yaml")
    (tmp_path / "oem/4.yaml").symlink_to("/srv/dir")
    (tmp_path / "oem/5.yaml").symlink_to("/oem/5.yaml")
    (tmp_path / "oem/6.yaml").symlink_to("/srv/real.yaml")
    (tmp_path / "oem/linked").symlink_to("/srv/dir")
    documents = load(["/oem"], Reader(tmp_path))
    assert names(documents) == ["/oem/1.yaml:a", "/oem/6.yaml:l", "/oem/9.yaml:z"]
    found = messages(documents)
    assert found[0].startswith("/oem/2.yaml:2:")
    assert found[1].startswith("/oem/3.yaml: no such file or directory")
    assert found[2].startswith("/oem/4.yaml: is a directory")
    assert found[3].startswith("/oem/5.yaml: ")
    assert len(found) == 4
    assert [d.broken for d in documents] == [False, True, True, True, True, False, False]


def test_a_linked_directory_as_a_source_is_followed(tmp_path: Path) -> None:
    """B10; the files are called after the link, with or without a slash."""
    write(tmp_path, **{"data/oem/1.yaml": step("a")})
    (tmp_path / "oem").symlink_to("/data/oem")
    reader = Reader(tmp_path)
    assert names(load(["/oem"], reader)) == names(load(["/oem/"], reader)) == ["/oem/1.yaml:a"]


def test_a_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    write(tmp_path, **{"srv/note.txt": step("a"), "srv/empty": ""})
    assert names(load(["/srv/note.txt", "/srv/empty"], Reader(tmp_path))) == ["/srv/note.txt:a"]


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def make_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)


@pytest.mark.parametrize(("make", "told"), [
    (os.mkfifo, "is a pipe, and only regular files are read"), (lambda p: p.symlink_to("/dev/zero"), "is a device, and only regular files are read"),
    (lambda p: p.symlink_to("/dev"), "is a directory, and only regular files are read"), (make_socket, "is a socket, and only regular files are read"),
    (make_large, "is larger than 16 MB, which no document is"),
])
def test_what_is_no_file_in_a_directory_costs_itself_only(tmp_path: Path, make: Callable[[Path], None], told: str) -> None:
    """A pipe would hang the boot, and a device fill the memory."""
    write(tmp_path, **{"oem/1.yaml": step("a"), "oem/9.yaml": step("z")})
    make(tmp_path / "oem/5.yaml")
    reader = HostReader(Host("/"))
    documents = load([str(tmp_path / "oem")], reader)
    assert [name.rsplit(":", 1)[1] for name in names(documents)] == ["a", "z"]
    assert messages(documents) == [f"{tmp_path}/oem/5.yaml: {told}"]
    if told.startswith("is larger"):
        assert messages(load([str(tmp_path / "oem/5.yaml")], reader)) == [f"{tmp_path}/oem/5.yaml: {told}"]


def test_standard_input_has_an_end_as_a_file_has() -> None:
    """`<STDIN>` of endless zeros is refused, not swallowed."""
    run = subprocess.run([sys.executable, "-m", "kairos_boot", "validate", "-"], stdin=Path("/dev/zero").open("rb"), capture_output=True, text=True, timeout=60,  # noqa: SIM115
                         check=False, cwd=Path(__file__).parents[2])
    assert (run.returncode, "<STDIN>: is larger than 16 MB" in run.stdout) == (1, True), run.stdout + run.stderr


def test_standard_input_that_does_not_block_is_read_to_its_end() -> None:
    """What is there at first is not all: the rest of a document is not lost in silence."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    os.write(theirs, b"stages:\n  s:\n    - name: a\n")
    run = subprocess.Popen([sys.executable, "-m", "kairos_boot", "validate", "-"], stdin=ours, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    while run.poll() is None and struct.unpack("i", fcntl.ioctl(ours, termios.FIONREAD, bytes(4)))[0]:
        pass  # until the first half was taken
    os.write(theirs, b"    - hostnam: b\n")
    os.close(theirs)
    said = run.communicate(timeout=60)[0]
    os.close(ours)
    assert (run.returncode, "<STDIN>:4:7: error: stages.s[1].hostnam" in said) == (1, True), said


def test_a_deep_tree_of_directories_is_walked(tmp_path: Path) -> None:
    """Deeper than Python's own limit for calls."""
    tree = {f"/oem{'/d' * depth}": [("d", True), ("f.yaml", False)] for depth in range(3000)}

    class Deep(Reader):
        def names(self, path: str) -> list[tuple[str, bool]]:
            return list(tree.get(path, []))

    assert sum(1 for _ in walk("/oem", Deep(tmp_path))) == 3000


def test_a_pipe_that_the_caller_names_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    if os.fork() == 0:
        (tmp_path / "pipe").write_text(step("p"))
        os._exit(0)
    assert names(load(["/pipe"], Reader(tmp_path))) == ["/pipe:p"]
    os.wait()


@pytest.mark.parametrize("argument", ["/oem/1.yml", "{stages: {s: [{name: x}]}}", "stages: {}", "", "ftp://h/x.yaml", "oci:image", "/a" * 3000, "file:///etc/x.yaml"])
def test_what_is_no_file_is_never_read_as_text(tmp_path: Path, argument: str) -> None:
    """B5."""
    [document] = load([argument], Reader(tmp_path))
    assert document.broken
    assert "no such file" in document.problems[0].message
    assert ("https" in document.problems[0].hint) == ("://" in argument)


def test_default_directories_may_be_missing(tmp_path: Path) -> None:
    write(tmp_path, **{"oem/1.yaml": step("a"), "srv/x": ""})
    assert messages(load(["/system/oem", "/oem", "/srv/x/y"], Reader(tmp_path), missing_ok=("/system/oem", "/oem", "/srv/x/y"))) == []
    assert len(messages(load(["/system/oem"], Reader(tmp_path)))) == 1


def test_a_directory_that_cannot_be_read_costs_itself_only(tmp_path: Path) -> None:
    write(tmp_path, **{"oem/1.yaml": step("a"), "oem/sub/2.yaml": step("b"), "oem/z.yaml": step("c")})

    class Denied(Reader):
        def names(self, path: str) -> list[tuple[str, bool]]:
            if path.endswith("/sub"):
                raise PermissionError(13, "Permission denied")
            return super().names(path)

    documents = load(["/oem"], Denied(tmp_path))
    assert names(documents) == ["/oem/1.yaml:a", "/oem/z.yaml:c"]
    assert messages(documents) == ["/oem/sub: permission denied"]


def test_a_url_that_cannot_be_had_costs_itself_only(tmp_path: Path) -> None:
    reader = Reader(tmp_path, b"", {"HTTPS://h/a": step("a").encode()})
    documents = load(["http://h/missing", "HTTPS://h/a"], reader)
    assert names(documents) == ["HTTPS://h/a:a"]
    assert "404" in messages(documents)[0]
    assert messages(documents)[0].startswith("http://h/missing: ")


def test_standard_input_counts_beside_other_sources(tmp_path: Path) -> None:
    write(tmp_path, **{"oem/1.yaml": step("a")})
    assert names(load(["/oem", "-"], Reader(tmp_path, step("i").encode()))) == ["/oem/1.yaml:a", "<STDIN>:i"]


def test_files_below_another_root_are_its_own(tmp_path: Path) -> None:
    """An absolute link stays inside the root."""
    write(tmp_path, **{"root/srv/x.yaml": step("inside"), "srv/x.yaml": step("outside")})
    (tmp_path / "root/oem").mkdir()
    (tmp_path / "root/oem/1.yaml").symlink_to("/srv/x.yaml")
    (tmp_path / "root/oem/2.yaml").symlink_to("../../srv/x.yaml")
    assert names(load(["/oem"], Reader(tmp_path / "root"))) == ["/oem/1.yaml:inside", "/oem/2.yaml:inside"]


def test_dot_notation_is_read_from_files_and_from_the_argument(tmp_path: Path) -> None:
    write(tmp_path, **{"srv/line": "ro stages.s[0].name=file\n"})
    documents = load(["/srv/line", "stages.s[0].name=text"], Reader(tmp_path), dotnotation=True)
    assert names(documents) == ["/srv/line:file", "<STDIN>:text"]
    assert load(["/srv/missing"], Reader(tmp_path), dotnotation=True)[0].broken


def test_a_socket_is_an_error_and_no_crash(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.yaml"))
        assert load(["/s.yaml"], Reader(tmp_path))[0].broken


VALUES = {"product": {"uuid": "AB CD+EF", "name": "", "n": 5}}


@pytest.mark.parametrize(("cmdline", "uri"), [
    ("ro quiet", ""), ("kairos.config_url=http://h/a", "http://h/a"), ("cos.setup=http://h/a ro", "http://h/a"), ("cos.setup=/oem/99_custom.yaml", "/oem/99_custom.yaml"),
    ("cos.setup=install.auto=true", ""), ("kairos.config=install.auto=true", ""), ("cos.setup=/a kairos.config_url=/b", "/b"), ("cos.setup=/a cos.setup=/b", "/b"),
    ("kairos.config_url=/b cos.setup=/a", "/a"), ("kairos.config_url='/a b'", "/a b"), ("kairos.config_url=", ""), ("xkairos.config_url=/a", ""),
    ("kairos.config_url=http://h/a?x=y&z=1", "http://h/a?x=y&z=1"), ("cos.setup=http://h/a?x=y", "http://h/a?x=y"), ("cos.setup=a=b kairos.config_url=/u", "/u"),
    ("kairos.config_url='http://h/{{ .Values.product.uuid }}'", "http://h/AB+CD%2BEF"),
    ("'kairos.config_url=http://h/?h={{ \"hello\" | upper }}&n={{ .Values.product.n }}'", "http://h/?h=HELLO&n=5"),
])
def test_the_uri_of_the_kernel_command_line(cmdline: str, uri: str) -> None:
    """The last one wins; values are URL-escaped."""
    assert config_uri(cmdline, lambda: VALUES) == (uri, [])


@pytest.mark.parametrize("uri", ["http://h/{{ .Values.nope }}", "http://h/{{ .Values.product.nope }}", "http://h/{{ nosuch }}", "http://h/{{ ", '{{ required "a name" .Values.product.name }}'])
def test_a_uri_whose_template_fails_is_left_out_with_an_error(uri: str) -> None:
    found, problems = config_uri(f"'kairos.config_url={uri}'", lambda: VALUES)
    assert found == ""
    assert [p.severity for p in problems] == ["error"]


def test_facts_are_gathered_only_for_a_template() -> None:
    def gather() -> dict[str, object]:
        raise AssertionError("gathered")

    assert config_uri("kairos.config_url=/a", gather) == ("/a", [])
