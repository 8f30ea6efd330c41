"""What `test`, `grep` and `cat FILE | grep` answer, for `shelltest`: only where every implementation answers the same."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kairos_boot.system.host import Host

LARGEST = 1 << 18
"""Bytes of a file that are searched here."""
PER_PROCESS = ("/proc/self", "/proc/thread-self", "/dev/fd", "/dev/std")
"""Paths that mean something else in a child process."""
KINDS = {"-f": stat.S_ISREG, "-d": stat.S_ISDIR, "-b": stat.S_ISBLK, "-c": stat.S_ISCHR, "-p": stat.S_ISFIFO, "-S": stat.S_ISSOCK}
DIRECTORIES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Undecided(Exception):  # noqa: N818
    """The shell must be asked."""


def evaluate(tree: Any, host: Host) -> bool:
    """Whether the parsed text *tree* succeeds. Undecided: a part that counts is not of a known form."""
    kind = tree[0]
    if kind == "run":
        return _run(tree[1], tree[2:], host)
    if kind == "true":
        return True
    if kind == "!":
        return not evaluate(tree[1], host)
    if kind == "&&":
        return evaluate(tree[1], host) and evaluate(tree[2], host)
    if kind == "||":
        return evaluate(tree[1], host) or evaluate(tree[2], host)
    if kind == "then":
        evaluate(tree[1], host)  # it must be known to have no effect and to end
        return evaluate(tree[2], host)
    return _pipe(tree[1], tree[2], host)


def _run(null: bool, words: Sequence[str], host: Host) -> bool:
    if null and not _is_null(host):
        raise Undecided
    name, *given = words
    if name == "[":
        if not given or given.pop() != "]":
            raise Undecided
        return _test(given, host)
    if name == "test":
        return _test(given, host)
    if name in ("true", ":"):
        return True
    if name == "false":
        return False
    if name == "grep" and given and given[0][:1] == "-" and given[0][-1:] == "f":
        return _shares_a_line(given, host)
    if name == "grep":
        grep = _Grep(given)
        if len(grep.operands) != 2:
            raise Undecided
        content = _content(grep.operands[1], host, grep)
        return content is not None and grep.selects(content)
    raise Undecided


def _shares_a_line(given: Sequence[str], host: Host) -> bool:
    """`grep -qxFf FILE OTHER`: whether a whole line of *OTHER* is one of *FILE*."""
    if len(given) != 3 or given[0][1:-1].strip("qsxF") or not {"x", "F"} <= set(given[0]) or "-" in (given[1][:1], given[2][:1]):
        raise Undecided
    grep = _Grep(("-xF", "text"))
    wanted, content = (_content(path, host, grep) for path in given[1:])
    if wanted is None or content is None:
        return False
    lines = wanted.removesuffix(b"\n").split(b"\n")
    if b"" in lines:
        raise Undecided  # implementations differ over no pattern at all
    return any(line in lines for line in content.removesuffix(b"\n").split(b"\n"))


def _pipe(first: Any, second: Any, host: Host) -> bool:
    """`cat FILE | grep PATTERN`: what cannot be read is empty."""
    if first[0] != "run" or second[0] != "run" or first[2] != "cat" or second[2] != "grep" or len(first) != 4 or first[3][:1] in ("", "-"):
        raise Undecided
    grep = _Grep(second[3:])
    if len(grep.operands) != 1 or ((first[1] or second[1]) and not _is_null(host)) or first[1]:
        raise Undecided
    _program("cat", host)
    return grep.selects(_content(first[3], host, grep) or b"")


def _is_null(host: Host) -> bool:
    try:
        return os.stat(host.path("/dev/null")).st_rdev == os.makedev(1, 3)
    except OSError:
        return False


def _path(path: str, host: Host, *, link: bool = False) -> str:
    if path.startswith(PER_PROCESS) or not path:
        raise Undecided
    if host.root != "/":
        if path[0] != "/" or any(part in ("", ".", "..") for part in path[1:].split("/")):
            raise Undecided
        return host.entry(path) if link else host.path(path)
    return path


def _test(given: Sequence[str], host: Host) -> bool:
    """The answer of `test`, by the number of its words as POSIX counts them."""
    if not given:
        return False
    if len(given) in (3, 4) and given[0] == "!" and given[1] not in ("=", "!=", "!"):
        return not _test(given[1:], host)
    if len(given) == 1 and _operand(given[0]):
        return bool(given[0])
    if len(given) == 2 and _operand(given[1]):
        return given[1] == "" if given[0] == "!" else _unary(given[0], given[1], host)
    if len(given) == 3 and given[1] in ("=", "!=") and _operand(given[0]) and _operand(given[2]):
        return (given[0] == given[2]) is (given[1] == "=")
    raise Undecided


def _operand(word: str) -> bool:
    """Whether no implementation can take the word for an operator."""
    return word[:1] not in ("-", "!", "(", ")", "<", ">", "=", "]")


def _unary(operator: str, word: str, host: Host) -> bool:
    if operator in ("-n", "-z"):
        return (word == "") is (operator == "-z")
    if operator not in ("-e", "-s", "-r", "-x", "-L", "-h", *KINDS):
        raise Undecided
    path = _path(word, host, link=operator in ("-L", "-h"))
    try:
        found = os.lstat(path) if operator in ("-L", "-h") else os.stat(path)
    except OSError:
        return False
    if operator == "-e":
        return True
    if operator == "-s":
        return found.st_size > 0
    if operator in ("-L", "-h"):
        return stat.S_ISLNK(found.st_mode)
    if operator in KINDS:
        return KINDS[operator](found.st_mode)
    if os.access(path, os.R_OK if operator == "-r" else os.X_OK, effective_ids=True):
        return True
    if operator == "-x" and not found.st_mode & 0o111:
        return False
    raise Undecided  # implementations that look at the mode bits would say yes


def _program(name: str, host: Host) -> None:
    for directory in host.environment.get("PATH", DIRECTORIES).split(":"):
        if directory.startswith("/") and os.access(host.path(f"{directory}/{name}"), os.X_OK):
            return
    raise Undecided


def _content(path: str, host: Host, grep: _Grep) -> bytes | None:
    """The content that grep searches, None where it cannot be read. Undecided: no plain file, or implementations differ over it."""
    _program("grep", host)
    try:
        found = os.stat(_path(path, host))
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            raise Undecided  # opening a device may do something
    except OSError:
        pass
    try:
        content = host.read(path)
    except OSError as error:
        raise Undecided from error
    if content is None:
        return None
    if len(content) > LARGEST or (grep.exact and not (content.isascii() and b"\0" not in content)):
        raise Undecided
    return content


class _Grep:
    """A call of grep with a pattern of literal text, `.`, anchors at the ends and, with -E, alternatives."""

    def __init__(self, given: Sequence[str]) -> None:
        flags = ""
        self.operands: list[str] = []
        for word in given:
            if not word.startswith("-"):
                self.operands.append(word)
            elif self.operands or not word[1:] or word[1:].strip("qsivxFE"):
                raise Undecided
            else:
                flags += word[1:]
        if not self.operands or not self.operands[0] or "\n" in self.operands[0] or ("E" in flags and "F" in flags) or "GREP_OPTIONS" in os.environ:
            raise Undecided
        self.inverted, self.whole, self.folded = "v" in flags, "x" in flags, "i" in flags
        pattern = self.operands[0].encode()
        if self.folded:
            pattern = pattern.lower()
        fixed = "F" in flags
        alternatives = pattern.split(b"|") if "E" in flags else [pattern]
        self.parts = [(part, False, False) if fixed else _anchored(part, extended="E" in flags) for part in alternatives]
        self.wild = not fixed and b"." in pattern
        self.probes = [max(part.split(b"."), key=len) for part, _, _ in self.parts] if self.wild else []
        """A piece of each alternative without a wildcard, to be found quickly."""
        self.fixed = fixed
        self.exact = self.inverted or self.whole or self.folded or self.wild or any(start or end for _, start, end in self.parts)
        """Whether lines, letters or single characters count, so that bytes that are no text would matter."""

    def selects(self, content: bytes) -> bool:
        if self.folded:
            content = content.lower()
        if self.wild and not self.inverted and not any(probe in content for probe in self.probes):
            return False
        lines = content.split(b"\n")
        if not lines[-1]:
            lines.pop()
        return any(any(self._in(line, *part) for part in self.parts) is not self.inverted for line in lines)

    def _in(self, line: bytes, part: bytes, start: bool, end: bool) -> bool:
        start, end = start or self.whole, end or self.whole
        room = len(line) - len(part)
        if room < 0 or (start and end and room):
            return False
        if not self.wild and not start and not end:
            return part in line
        places = range(1) if start else range(room, room + 1) if end else range(room + 1)
        return any(self._same(part, line[at:at + len(part)]) for at in places)

    def _same(self, part: bytes, text: bytes) -> bool:
        return part == text if self.fixed else all(p in (c, 0x2e) for p, c in zip(part, text, strict=True))


def _anchored(part: bytes, *, extended: bool) -> tuple[bytes, bool, bool]:
    start, end = part.startswith(b"^"), part.endswith(b"$")
    literal = part[start:len(part) - end]
    if not literal or any(c in b"[\\*^$" or (extended and c in b"()+?{}") for c in literal):
        raise Undecided
    return literal, start, end
