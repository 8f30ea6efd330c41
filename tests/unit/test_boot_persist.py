"""The three-way synchronisation (D7): what the user did stays, a default that was left alone follows the image."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kairos_boot.boot import manifest
from kairos_boot.boot.persist import Changes, Tree, decide, synchronise

if TYPE_CHECKING:
    from pathlib import Path

    from kairos_boot.boot.entries import Entry
    from kairos_boot.boot.persist import Outcome


def file(content: str, mode: int = 0o644) -> Entry:
    return ("f", mode, 0, 0, 0, content, "")


DIR: Entry = ("d", 0o755, 0, 0, 0, "", "")
SHUT: Entry = ("d", 0o700, 0, 0, 0, "", "")
LINK: Entry = ("l", 0, 0, 0, 0, "/elsewhere", "")
A, B, C = file("a"), file("b"), file("c")


@pytest.mark.parametrize(("old", "new", "user", "done"), [
    (A, B, A, "write"), (A, A, A, ""), (A, A, C, ""), (A, B, C, "kept"), (A, A, None, ""), (A, B, None, ""), (A, None, A, "remove"), (A, None, C, ""), (A, None, None, ""),
    (None, A, None, "write"), (None, A, A, ""), (None, A, C, ""), (None, None, C, ""), (A, file("a", 0o600), A, "write"), (A, B, B, ""), (A, LINK, A, "write"),
], ids=lambda value: value[5] if isinstance(value, tuple) else str(value))
def test_of_one_file_image_then_image_now_and_users(old: Entry | None, new: Entry | None, user: Entry | None, done: str) -> None:
    def tree(entry: Entry | None) -> dict[str, Entry]:
        return {"": DIR, "x": entry} if entry else {"": DIR}

    changes = decide(tree(old), tree(new), tree(user).get)
    assert changes == {"write": Changes(write=("x",)), "remove": Changes(remove=("x",)), "kept": Changes(kept=("x",)), "": Changes()}[done]


def test_below_a_directory_that_the_user_deleted_nothing_comes_back_and_nothing_new_comes() -> None:
    assert decide({"": DIR, "d": DIR, "d/x": A}, {"": DIR, "d": DIR, "d/x": B, "d/y": A}, {"": DIR}.get) == Changes()


def test_a_link_that_the_user_put_in_place_of_a_directory_is_not_followed() -> None:
    asked: list[str] = []

    def user(path: str) -> Entry | None:
        asked.append(path)
        return {"": DIR, "d": LINK}.get(path)

    assert decide({"": DIR, "d": DIR, "d/x": A}, {"": DIR, "d": DIR, "d/x": B}, user) == Changes()
    assert asked == ["", "d"]


def test_a_file_becomes_a_directory_and_its_files_follow() -> None:
    assert decide({"": DIR, "x": A}, {"": DIR, "x": DIR, "x/y": A}, {"": DIR, "x": A}.get).write == ("x", "x/y")


def test_removals_come_children_first() -> None:
    tree = {"": DIR, "d": DIR, "d/x": A}
    assert decide(tree, {"": DIR}, tree.get).remove == ("d/x", "d")


def test_a_directory_whose_mode_the_user_set_still_takes_new_files() -> None:
    assert decide({"": DIR, "d": DIR}, {"": DIR, "d": DIR, "d/x": A}, {"": DIR, "d": SHUT}.get) == Changes(write=("d/x",))


@pytest.mark.parametrize(("old", "pending", "new", "user", "done"), [
    (A, B, C, B, "write"), (A, B, A, B, "write"), (A, None, B, None, "write"), (None, A, B, None, "write"), (A, B, C, None, ""), (A, LINK, LINK, None, "write"),
    (A, B, None, B, "remove"), (A, B, B, C, ""),
], ids=lambda value: value[5] if isinstance(value, tuple) else str(value))
def test_what_an_interrupted_run_wrote_or_removed_is_not_the_users(old: Entry | None, pending: Entry | None, new: Entry | None, user: Entry | None, done: str) -> None:
    trees = [{"": DIR, **({"x": entry} if entry else {})} for entry in (old, new, user, pending)]
    changes = decide(trees[0], trees[1], trees[2].get, trees[3])
    assert (changes.write, changes.remove) == ((("x",), ()) if done == "write" else ((), ("x",)) if done else ((), ()))


class Node:
    """An image directory and its copy on a real file system."""

    def __init__(self, home: Path) -> None:
        self.image, self.store, self.manifests = home / "image", home / "state/etc.bind", home / "state/.manifest"
        self.image.mkdir()
        self.syncs = 0

    def sync(self, identity: str = "") -> Outcome:
        def durable(path: str) -> None:
            self.syncs += 1

        [outcome] = synchronise([Tree("etc", str(self.image), str(self.store))], str(self.manifests), identity, durable)
        assert not outcome.error
        return outcome

    def left(self) -> list[str]:
        return sorted(p.name for p in self.manifests.iterdir())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_first_boot_copies_everything_as_it_is(node: Node) -> None:
    (node.image / "sub").mkdir(mode=0o750)
    (node.image / "sub/secret").write_text("s")
    (node.image / "sub/secret").chmod(0o4640)
    (node.image / "sub/twin").hardlink_to(node.image / "sub/secret")
    (node.image / "link").symlink_to("/nowhere")
    os.mkfifo(node.image / "pipe", 0o600)
    os.utime(node.image / "sub/secret", (1, 2))
    node.sync()
    secret, twin = (node.store / "sub/secret").stat(), (node.store / "sub/twin").stat()
    assert (node.store / "sub").stat().st_mode & 0o7777 == 0o750
    assert (secret.st_mode & 0o7777, secret.st_mtime, secret.st_nlink, secret.st_ino) == (0o4640, 2, 2, twin.st_ino)
    assert os.readlink(node.store / "link") == "/nowhere"
    assert (node.store / "pipe").is_fifo()
    assert node.left() == ["etc"]


def test_users_edits_additions_and_deletions_survive_an_upgrade_and_defaults_follow(node: Node) -> None:
    for name in ("edited", "deleted", "plain", "dropped", "dropped-edited"):
        (node.image / name).write_text("old")
    node.sync("1")
    (node.store / "edited").write_text("mine")
    (node.store / "dropped-edited").write_text("mine")
    (node.store / "added").write_text("mine")
    (node.store / "deleted").unlink()
    for name in ("edited", "deleted", "plain"):
        (node.image / name).write_text("new default")
    (node.image / "dropped").unlink()
    (node.image / "dropped-edited").unlink()
    (node.image / "fresh").write_text("new default")
    outcome = node.sync("2")
    assert {p.name: p.read_text() for p in node.store.iterdir()} == {
        "edited": "mine", "dropped-edited": "mine", "added": "mine", "plain": "new default", "fresh": "new default"}
    assert outcome.changes.kept == ("edited",)
    assert node.sync("3").changes.write == ()


def test_without_a_manifest_what_is_there_counts_as_the_users(node: Node) -> None:
    (node.image / "x").write_text("image")
    (node.image / "y").write_text("image")
    node.store.mkdir(parents=True)
    (node.store / "x").write_text("from an earlier installation")
    node.sync()
    assert ((node.store / "x").read_text(), (node.store / "y").read_text()) == ("from an earlier installation", "image")


def test_a_damaged_manifest_is_none_and_loses_nothing(node: Node) -> None:
    (node.image / "x").write_text("image")
    node.sync("1")
    (node.store / "x").write_text("mine")
    (node.manifests / "etc").write_text((node.manifests / "etc").read_text()[:-3])
    node.sync("2")
    assert (node.store / "x").read_text() == "mine"


def test_the_same_image_is_not_looked_at_again(node: Node) -> None:
    (node.image / "x").write_text("1")
    node.sync("one")
    syncs = node.syncs
    (node.image / "x").write_text("2")
    assert node.sync("one").skipped
    assert node.syncs == syncs
    assert node.sync("two").changes.write == ("x",)


def test_a_copy_that_was_removed_by_hand_is_made_anew_even_for_the_same_image(node: Node) -> None:
    (node.image / "x").write_text("1")
    node.sync("one")
    (node.store / "x").unlink()
    node.store.rmdir()
    node.sync("one")
    assert (node.store / "x").read_text() == "1"


def test_a_directory_that_became_a_file_keeps_what_the_user_put_into_it(node: Node) -> None:
    (node.image / "d").mkdir()
    (node.image / "d/x").write_text("1")
    node.sync("1")
    (node.store / "d/mine").write_text("mine")
    (node.image / "d/x").unlink()
    (node.image / "d").rmdir()
    (node.image / "d").write_text("a file now")
    changes = node.sync("2").changes
    assert [p.name for p in (node.store / "d").iterdir()] == ["mine"]
    assert (changes.write, changes.kept) == ((), ("d",))


def test_a_directory_that_the_image_dropped_stays_with_what_the_user_put_into_it_and_is_told(node: Node) -> None:
    (node.image / "d").mkdir()
    (node.image / "d/x").write_text("1")
    node.sync("1")
    (node.store / "d/mine").write_text("mine")
    (node.image / "d/x").unlink()
    (node.image / "d").rmdir()
    changes = node.sync("2").changes
    assert [p.name for p in (node.store / "d").iterdir()] == ["mine"]
    assert (changes.remove, changes.kept) == (("d/x",), ("d",))


def test_a_directory_that_the_image_does_not_have_is_persistent_too_and_losing_it_takes_only_defaults(node: Node) -> None:
    node.image.chmod(0o700)
    (node.image / "x").write_text("default")
    node.sync("1")
    (node.store / "mine").write_text("mine")
    (node.image / "x").unlink()
    node.image.rmdir()
    node.sync("2")
    assert [p.name for p in node.store.iterdir()] == ["mine"]
    assert node.store.stat().st_mode & 0o7777 == 0o700
    (node.store / "mine").unlink()
    node.store.rmdir()
    node.sync("3")
    assert node.store.stat().st_mode & 0o7777 == 0o755


def test_a_directory_and_a_file_change_places(node: Node) -> None:
    (node.image / "d").mkdir()
    (node.image / "d/x").write_text("1")
    (node.image / "f").write_text("1")
    node.sync("1")
    (node.image / "d/x").unlink()
    (node.image / "d").rmdir()
    (node.image / "d").write_text("file")
    (node.image / "f").unlink()
    (node.image / "f").mkdir()
    (node.image / "f/y").write_text("2")
    node.sync("2")
    assert ((node.store / "d").read_text(), (node.store / "f/y").read_text()) == ("file", "2")


class Cut(Exception):  # noqa: N818
    """The power goes."""


def test_a_cut_at_any_moment_leaves_files_whole_and_the_next_run_finishes_without_taking_its_work_for_the_users(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the cut the node boots the old image (fallback) or the new one; in both the defaults are that image's, and the user's file is the user's."""
    seen = 0
    for number in range(200):
        home = tmp_path / str(number)
        home.mkdir()
        node = Node(home)
        (node.image / "d").mkdir()
        for name in ("plain", "edited", "dropped", "d/x"):
            (node.image / name).write_text("old")
        node.sync("1")
        (node.store / "edited").write_text("mine")
        for name in ("plain", "edited", "d/x", "fresh"):
            (node.image / name).write_text("new")
        (node.image / "dropped").unlink()
        (node.image / "d").chmod(0o700)
        finished = _cut_after(node, number, monkeypatch)
        assert all(p.read_text() in ("old", "new", "mine") for p in node.store.rglob("*") if p.is_file())
        if number % 2:  # the old image boots instead
            for name in ("plain", "edited", "d/x", "dropped"):
                (node.image / name).write_text("old")
            (node.image / "fresh").unlink()
            (node.image / "d").chmod(0o755)
            node.sync("1")
            expected = {"plain": "old", "edited": "mine", "dropped": "old", "d/x": "old"}
        else:
            node.sync("2")
            expected = {"plain": "new", "edited": "mine", "fresh": "new", "d/x": "new"}
        assert {str(p.relative_to(node.store)): p.read_text() for p in node.store.rglob("*") if p.is_file()} == expected, f"cut after {number} changes"
        seen += 1
        if finished:
            break
    assert seen > 10


def _cut_after(node: Node, number: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run until *number* changes of names and modes are done; True if it came through."""
    left = [number]

    class Os:
        def __getattr__(self, name: str) -> object:
            real = getattr(os, name)
            if name not in ("rename", "unlink", "rmdir", "mkdir", "symlink", "chmod", "chown"):
                return real

            def counted(*words: object, **named: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    raise Cut
                return real(*words, **named)

            return counted

    with monkeypatch.context() as patch:
        for module in ("entries", "manifest", "persist"):
            patch.setattr(f"kairos_boot.boot.{module}.os", Os())
        try:
            node.sync("2")
        except Cut:
            return False
    return True


def test_a_manifest_keeps_names_of_every_kind(tmp_path: Path) -> None:
    names = {"a b": A, "100%": B, "línea\n": C, os.fsdecode(b"\xff\xfe"): LINK, "": DIR}
    manifest.write(str(tmp_path / "m"), manifest.Manifest("an id", names))
    assert manifest.read(str(tmp_path / "m")) == manifest.Manifest("an id", names)


def test_a_manifest_that_is_not_whole_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "m"
    manifest.write(str(path), manifest.Manifest("id", {"": DIR, "x": A, "y": B}))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert manifest.read(str(path)) is None, length
