"""One way to write for every key (C12): actions change files through a `Place`, whose path no user leads astray.

Calls of the kernel that change a file by its path are looked for in the source. With a directory's descriptor they are fine.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2] / "kairos_boot"
CHANGES = set("mkdir makedirs rename renames replace unlink remove rmdir removedirs chown lchown chmod lchmod symlink link mknod mkfifo truncate utime "
              "setxattr removexattr rmtree copy copy2 copyfile copytree move".split())
BY_DESCRIPTOR = {"dir_fd", "src_dir_fd", "dst_dir_fd"}
EXCEPTED = {
    "actions/mounts.py": "mount points of the initrd, looked up through the root that it has just mounted",
    "actions/datasource_discs.py": "directories of its own below /run/kairos-boot, which root alone enters",
    "actions/encryption.py": "the terminal that somebody sits at, opened to be written to and never made",
    "actions/firstboot.py": "a file in a scratch directory of its own",
    "actions/images.py": "files in a scratch directory of its own; an attribute on a descriptor",
    "actions/replacement.py": "the time of an open descriptor",
    "actions/kernel.py": "the kernel's own files, which nobody can replace",
    "actions/image_file.py": "images on the state partition, where only root has anything",
    "actions/partitioning.py": "a disk, which it has for itself",
    "actions/image_tree.py": "a tree of its own, which becomes an image",
    "actions/image_layers.py": "a directory of its own, beside a source's files, which root alone enters",
    "actions/packed.py": "what it unpacks in a directory of an action's own, which root alone enters",
    "actions/registry.py": "a directory of its own, which root alone enters",
    "actions/git.py": "locks in a repository that is root's, as are its parents: that is asked before",
}
"""Files that change something by other means, and why no user can lead them astray."""


def writes(tree: ast.AST) -> list[tuple[int, str]]:
    """Line and name of each call that changes a file by its path."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        text = ast.unparse(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if any(word.arg in BY_DESCRIPTOR for word in node.keywords):
            continue
        if owner in ("os", "shutil") and name in CHANGES:
            found.append((node.lineno, f"{owner}.{name}"))
        if (name == "open" and owner in ("os", "") and any(flag in text for flag in ("O_CREAT", "O_WRONLY", "O_RDWR", "O_TRUNC"))) or (
                name == "open" and owner == "" and any(isinstance(arg, ast.Constant) and str(arg.value)[:1] in ("w", "a", "x") for arg in node.args[1:])
                and isinstance(node.args[0], (ast.JoinedStr, ast.Constant))):
            found.append((node.lineno, "open"))
    return found


@pytest.mark.parametrize("path", sorted([*TOP.glob("actions/*.py"), *TOP.glob("modules/*.py"), TOP / "stages/frequency.py"]), ids=lambda p: str(p.relative_to(TOP)))
def test_no_key_writes_past_the_one_walk(path: Path) -> None:
    """A new key cannot forget it: use `Host.place`, or say here why it need not."""
    found = writes(ast.parse(path.read_text()))
    if str(path.relative_to(TOP)) not in EXCEPTED:
        assert found == []


@pytest.mark.parametrize("text", ["os.mkdir(path)", "os.open(path, os.O_WRONLY | os.O_CREAT)", "open(f'{x}/y', 'w')", "shutil.rmtree(host.path(p))",
                                  "os.chown(host.real(self.path), 1, 1)"])
def test_the_test_sees_a_write(text: str) -> None:
    assert writes(ast.parse(text))


@pytest.mark.parametrize("text", ["os.mkdir(name, dir_fd=place.directory)", "os.fchown(fd, 1, 1)", "open(fd, 'wb')", "os.open(name, os.O_CREAT, dir_fd=fd)"])
def test_the_test_passes_descriptors(text: str) -> None:
    assert writes(ast.parse(text)) == []
