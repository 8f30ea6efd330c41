"""downloads: the whole content or the old file, compared by content, checked before it counts."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.actions.download import Download
from kairos_boot.actions.files import Owner
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.modules import downloads
from kairos_boot.records import replace
from kairos_boot.stages.execution import placed
from kairos_boot.system.http import Clock, TransferError
from kairos_boot.system.transfer import download
from tests.modules.web import Reply, Web, stopwatch

if TYPE_CHECKING:
    from kairos_boot.system.http import Answer
    from tests.modules.conftest import MakeStep, Node


def get(host: Node, step: MakeStep, url: str, path: str, **more: Any) -> bool | str:
    """Download one file."""
    [result] = host.do(downloads, step(downloads=[{"url": url, "path": path, **more}]))
    return result


def test_content_mode_and_parents(host: Node, step: MakeStep, web: Web) -> None:
    """Without a mode 0644 (C2), parents 0755, whatever the umask; nothing else is left behind; the time is the server's."""
    web.pages["/tool"] = Reply(b"payload\n", headers={"Last-Modified": "Sun, 09 Sep 2001 01:46:40 GMT"})
    old = os.umask(0o077)
    try:
        assert get(host, step, web.url("/tool"), "/srv/new/tool") is True
        assert get(host, step, web.url("/tool"), "/srv/new/exact", permissions=0o4750) is True
    finally:
        os.umask(old)
    assert host.text("/srv/new/tool") == "payload\n"
    assert [host.mode(f"/srv/new{name}") for name in ("", "/tool", "/exact")] == [0o755, 0o644, 0o4750]
    assert sorted(os.listdir(f"{host.root}/srv/new")) == ["exact", "tool"]
    assert os.stat(f"{host.root}/srv/new/tool").st_mtime == 1_000_000_000


@pytest.mark.root
def test_the_owner(host: Node, step: MakeStep, web: Web) -> None:
    """Numbers, names, and a name in a directory: the file changes hands, not the directory."""
    web.pages["/f"] = Reply(b"x")
    host.put("/etc/passwd", "ada:x:1500:1600::/:/bin/sh\n")
    host.put("/etc/group", "lab:x:1700:\n")
    os.makedirs(f"{host.root}/d")
    get(host, step, web.url("/f"), "/a", owner=1200, group=50)
    get(host, step, web.url("/f"), "/d", ownerstring="ada:lab")
    get(host, step, web.url("/f"), "/c", ownerstring="ada")
    owners = [(now.st_uid, now.st_gid) for now in (os.stat(host.root + path) for path in ("/a", "/d", "/d/f", "/c"))]
    assert owners == [(1200, 50), (0, 0), (1500, 1700), (1500, 1600)]


def test_an_unknown_owner_is_told_before_anything_is_fetched(host: Node, step: MakeStep, web: Web) -> None:
    """The old file stays."""
    host.put("/etc/passwd", "")
    host.put("/a", "old")
    assert "stranger" in str(get(host, step, web.url("/f"), "/a", ownerstring="stranger"))
    assert (host.text("/a"), web.paths) == ("old", [])


@pytest.mark.parametrize(("path", "headers", "name"), [
    ("/a/one.bin?x=/y", {}, "one.bin"), ("/two", {"Content-Disposition": 'attachment; filename="named.txt"'}, "named.txt"),
    ("/three", {"Content-Disposition": 'attachment; filename="../../etc/evil"'}, "evil"), ("/a%20b", {}, "a b"),
    ("/x%2f..%2fshadow", {}, "shadow"), ("/four", {"Content-Disposition": "attachment; filename*=UTF-8''n%C3%A4me"}, "näme"),
])
def test_the_name_in_a_directory(host: Node, step: MakeStep, web: Web, path: str, headers: dict[str, str], name: str) -> None:
    """The server's, else the address's last part; never one that leaves the directory."""
    web.pages[path] = Reply(b"x", headers=headers)
    os.makedirs(f"{host.root}/srv/d")
    assert get(host, step, web.url(path), "/srv/d/") is True
    assert os.listdir(f"{host.root}/srv/d") == [name]


@pytest.mark.parametrize("path", ["/", "/a/", "/.."])
def test_an_address_that_names_no_file(host: Node, step: MakeStep, web: Web, path: str) -> None:
    """A directory gets no file of an invented name."""
    web.pages[path] = Reply(b"x")
    os.makedirs(f"{host.root}/srv/d")
    result = get(host, step, web.url(path), "/srv/d")
    assert os.listdir(f"{host.root}/srv/d") == (["a"] if path == "/a/" else [])
    assert path == "/a/" or "name a file" in str(result)


@pytest.mark.parametrize("old", ["old\n", "new!\n"[::-1], "a much longer old text\n", ""])
def test_a_file_that_changed_at_the_server(host: Node, step: MakeStep, web: Web, old: str) -> None:
    """C1: shorter, longer or of the same size, the new content replaces the old one; the old mode stays (C2)."""
    host.put("/srv/f", old, 0o600)
    web.pages["/f"] = Reply(b"new!\n")
    assert get(host, step, web.url("/f"), "/srv/f") is True
    assert (host.text("/srv/f"), host.mode("/srv/f")) == ("new!\n", 0o600)


def test_second_run_writes_nothing(host: Node, step: MakeStep, web: Web) -> None:
    """C7: fetched, compared, left alone; a wrong mode alone is mended."""
    web.pages["/f"] = Reply(b"same\n")
    get(host, step, web.url("/f"), "/srv/f", permissions=0o640)
    before = host.state()
    assert get(host, step, web.url("/f"), "/srv/f", permissions=0o640) is False
    assert host.state() == before
    os.chmod(f"{host.root}/srv/f", 0o777)
    assert get(host, step, web.url("/f"), "/srv/f", permissions=0o640) is True
    assert host.mode("/srv/f") == 0o640


def test_a_link_is_written_through(host: Node, step: MakeStep, web: Web) -> None:
    """C1: inside the node's root."""
    host.put("/data/real", "old")
    os.symlink("/data/real", f"{host.root}/f")
    web.pages["/f"] = Reply(b"new")
    get(host, step, web.url("/f"), "/f")
    assert os.path.islink(f"{host.root}/f")
    assert host.text("/data/real") == "new"


@pytest.mark.parametrize("reply", [Reply(b"no", 404), Reply(b"0123456789", cut=3), Reply(b"x", 503)])
def test_a_failure_leaves_the_old_file_and_nothing_else(host: Node, step: MakeStep, web: Web, reply: Reply) -> None:
    """No partial file, no temporary one; the next download is done."""
    host.put("/srv/a", "old\n")
    web.pages.update({"/a": reply, "/b": Reply(b"yes\n")})
    given = step(downloads=[{"url": web.url("/a"), "path": "/srv/a"}, {"url": web.url("/b"), "path": "/srv/b"}])
    one, other = downloads.plan(given, Facts())
    with pytest.raises(KairosError) as caught:
        replace(one, tries=1).apply(host)
    assert ": stages.s[0].downloads[0]: " in str(placed(caught.value, given, downloads.KEY, one))
    assert other.apply(host) is True
    assert host.text("/srv/a") == "old\n"
    assert sorted(os.listdir(f"{host.root}/srv")) == ["a", "b"]


def test_the_items_time_limit(host: Node, step: MakeStep, web: Web) -> None:
    """B4: in seconds for a whole try, also for a server that says a byte now and then; the step's limit is the default."""
    web.pages["/slow"] = Reply(b"x" * 600, drip=0.1)
    start = stopwatch()
    [action] = downloads.plan(step(downloads=[{"url": web.url("/slow"), "path": "/srv/f", "timeout": 1}]), Facts())
    with pytest.raises(KairosError, match="no answer within 1 s"):
        replace(action, tries=1).apply(host)
    assert stopwatch() - start < 30
    [action] = downloads.plan(step(timeout=2.5, downloads=[{"url": "http://h/x", "path": "/f"}]), Facts())
    assert isinstance(action, Download)
    assert action.timeout == 2.5


@pytest.mark.parametrize(("moving", "bytes_a_second", "ends"), [(True, 1100, None), (True, 1000, 30), (True, 1, 30), (True, 0, 30), (False, 10**6, 30)])
def test_a_transfer_without_a_limit_of_its_own_must_keep_moving(moving: bool, bytes_a_second: int, ends: int | None) -> None:
    """B4: what brings its kilobyte a second goes on, what drips or stops is a failed try; a given limit is for the whole try."""
    now = [0.0]
    clock = Clock(30, moving=moving, now=lambda: now[0])

    def second() -> bool:
        now[0] += 1
        try:
            clock.left()
        except TransferError:
            return False
        clock.received(bytes_a_second)
        return True

    lasted = next((number for number in range(300) if not second()), None)
    assert lasted == (None if ends is None else ends - 1)


def test_a_broken_transfer_is_resumed_where_the_server_vouches(web: Web) -> None:
    """The rest alone is asked for, with the strong tag of the first part."""
    body = bytes(range(256)) * 40
    tagged = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
    web.pages["/big"] = [Reply(body, headers=tagged, cut=6000), Reply(body, headers=tagged, ranges=True)]
    target = Target()
    download(web.url("/big"), target, pause=lambda _: None)
    assert target.content() == body
    assert [headers.get("range") for _, headers in web.requests] == [None, "bytes=6000-"]
    assert web.requests[1][1]["if-range"] == '"v1"'


@pytest.mark.parametrize(("first", "second"), [
    ({"ETag": '"v1"', "Accept-Ranges": "bytes"}, {"ETag": '"v2"', "Accept-Ranges": "bytes"}), ({"ETag": 'W/"v1"', "Accept-Ranges": "bytes"}, {}), ({}, {}),
    ({"ETag": '"v1"', "Accept-Ranges": "bytes"}, {"ETag": '"v2"', "Accept-Ranges": "bytes", "Content-Range": "bytes 6000-10239/10240"}),
])
def test_parts_of_two_contents_are_never_joined(web: Web, first: dict[str, str], second: dict[str, str]) -> None:
    """A content that changed meanwhile, or that nobody vouches for, is fetched from its beginning."""
    new = b"n" * 9000
    status = 206 if "Content-Range" in second else 200
    web.pages["/big"] = [Reply(b"o" * 10240, headers=first, cut=6000), Reply(new[:4240] if status == 206 else new, status, second), Reply(new, headers={"ETag": '"v2"'})]
    target = Target()
    download(web.url("/big"), target, pause=lambda _: None)
    assert target.content() == new


@pytest.mark.parametrize("method", ["sha256", "sha512"])
def test_the_checksum(host: Node, step: MakeStep, web: Web, method: str) -> None:
    """What does not have it is not written; a file that has it is not fetched again."""
    good = f"{method}:{hashlib.new(method, b'good').hexdigest().upper()}"
    host.put("/srv/f", "old")
    web.pages["/f"] = Reply(b"evil")
    assert "checksum" in str(get(host, step, web.url("/f"), "/srv/f", checksum=good))
    assert host.text("/srv/f") == "old"
    web.pages["/f"] = Reply(b"good")
    assert get(host, step, web.url("/f"), "/srv/f", checksum=good) is True
    asked = len(web.paths)
    before = host.state()
    assert get(host, step, web.url("/f"), "/srv/f", checksum=good) is False
    assert (len(web.paths), host.state()) == (asked, before)


@pytest.mark.parametrize("keys", [
    {"url": "ftp://127.0.0.1/f"}, {"url": "file:///etc/passwd"}, {"url": ""}, {"url": "/etc/passwd"}, {"path": "f"}, {"path": ""},
    {"checksum": "md5:d41d8cd98f00b204e9800998ecf8427e"}, {"checksum": "sha256:12"}, {"checksum": "sha256:" + "g" * 64}, {"timeout": -1},
])
def test_what_cannot_be_downloaded(host: Node, step: MakeStep, web: Web, keys: dict[str, Any]) -> None:
    """An error with its place, before anything is asked for."""
    result = get(host, step, **{"url": web.url("/f"), "path": "/f", **keys})
    assert f"downloads[0].{next(iter(keys))}" in str(result)
    assert web.paths == []


def test_a_directory_and_a_device_are_never_replaced(host: Node, step: MakeStep, web: Web) -> None:
    """What is no regular file stays."""
    web.pages["/f"] = Reply(b"x")
    os.makedirs(f"{host.root}/srv/d/f")
    os.mkfifo(f"{host.root}/srv/fifo")
    assert "not a regular file" in str(get(host, step, web.url("/f"), "/srv/d"))
    assert "not a regular file" in str(get(host, step, web.url("/f"), "/srv/fifo"))


def test_a_file_of_the_temporary_name_is_not_written_to(host: Node, step: MakeStep, web: Web) -> None:
    """In a directory of others it may be a second name of a file that is not theirs."""
    host.put("/etc/secret", "keep")
    os.makedirs(f"{host.root}/tmp")
    os.link(f"{host.root}/etc/secret", f"{host.root}/tmp/.f.kairos-part")
    web.pages["/f"] = Reply(b"new")
    assert get(host, step, web.url("/f"), "/tmp/f") is True
    assert (host.text("/etc/secret"), os.listdir(f"{host.root}/tmp")) == ("keep", ["f"])


@pytest.mark.parametrize("old", ["", "a" * 70000, "a" * 70000 + "b" * 70000, "a" * 70000 + "b" * 69999 + "x", "a" * 70000 + "b" * 70000 + "c"])
def test_what_is_the_same_is_not_sent_to_the_disk_twice(host: Node, step: MakeStep, web: Web, old: str) -> None:
    """C7: the body is compared as it comes; it may differ at its start, in its middle, by its end, or not at all."""
    new = "a" * 70000 + "b" * 70000
    host.put("/srv/f", old)
    web.pages["/f"] = Reply(new.encode())
    before = host.state()
    assert get(host, step, web.url("/f"), "/srv/f") is (old != new)
    assert host.text("/srv/f") == new
    assert os.listdir(f"{host.root}/srv") == ["f"]
    assert old != new or host.state() == before


@pytest.mark.slow
def test_a_transfer_that_breaks_off_over_an_old_file(host: Node, step: MakeStep, web: Web) -> None:
    """The part that is the old file's counts as received when the rest is asked for."""
    body, tagged = b"a" * 70000 + b"b" * 70000, {"ETag": '"v1"', "Accept-Ranges": "bytes"}
    host.put("/srv/f", b"a" * 70000 + b"old")
    web.pages["/f"] = [Reply(body, headers=tagged, cut=60000), Reply(body, headers=tagged, cut=20000, ranges=True), Reply(body, headers=tagged, ranges=True)]
    assert get(host, step, web.url("/f"), "/srv/f") is True
    assert host.text("/srv/f") == body.decode()
    assert [headers.get("range") for _, headers in web.requests] == [None, "bytes=60000-", "bytes=80000-"]


def test_an_empty_file(host: Node, step: MakeStep, web: Web) -> None:
    """No body is content, too."""
    web.pages["/f"] = Reply(b"")
    host.put("/srv/old", "x")
    assert [get(host, step, web.url("/f"), path) for path in ("/srv/f", "/srv/old", "/srv/f")] == [True, True, False]
    assert (host.text("/srv/f"), host.text("/srv/old")) == ("", "")


def test_no_room_is_told_before_it_is_used_up(host: Node, step: MakeStep, web: Web) -> None:
    """The announced size counts."""
    web.pages["/f"] = Reply(b"x", headers={"Content-Length": str(1 << 60)}, cut=1)
    assert "no room" in str(get(host, step, web.url("/f"), "/srv/f"))
    assert not host.exists("/srv")


def test_secrets_of_the_address_are_not_told(host: Node, step: MakeStep, web: Web) -> None:
    """C5: user, password and query."""
    url = web.url("/none?token=sesame").replace("//", "//ada:tangerine@")
    [action] = downloads.plan(step(downloads=[{"url": url, "path": "/f"}]), Facts())
    told = action.describe() + str(get(host, step, url, "/f"))
    assert "/none" in told
    assert not {word for word in ("ada", "tangerine", "sesame") if word in told}


def test_what_plan_says(host: Node) -> None:
    """Nothing is fetched: only a checksum tells."""
    host.put("/f", "good", 0o644)
    mine = Owner(os.geteuid(), os.getegid())
    right = f"sha256:{hashlib.sha256(b'good').hexdigest()}"
    assert Download("http://127.0.0.1:1/f", "/f", owner=mine).would_change(host) is None
    assert Download("http://127.0.0.1:1/f", "/f", owner=mine, checksum=right).would_change(host) is False
    assert Download("http://127.0.0.1:1/f", "/f", 0o600, owner=mine, checksum=right).would_change(host) is True


class Target:
    """A body in memory, that is begun once, however many tries there are."""

    def __init__(self) -> None:
        self.body, self.begun = bytearray(), 0

    def begin(self, answer: Answer) -> None:
        """Count it."""
        self.begun += 1

    def have(self) -> int:
        """So far."""
        return len(self.body)

    def room(self) -> int:
        """Enough."""
        return 1 << 30

    def reset(self) -> None:
        """Anew."""
        self.body.clear()

    def write(self, data: bytes) -> None:
        """More."""
        self.body += data

    def content(self) -> bytes:
        """What came of it."""
        assert self.begun == 1
        return bytes(self.body)
