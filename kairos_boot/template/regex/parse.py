"""Go's regular expressions (RE2 syntax) into trees.

A tree is (kind, value, value): `list` ITEMS, `or` ITEMS, `group` TREE NUMBER, `repeat` TREE BOUNDS, `set` CHARSET, `assert` KIND.
"""

from __future__ import annotations

from kairos_boot.template.regex.classes import ESCAPES, PERL, Charset, named, unicode_class
from kairos_boot.template.values import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    Tree = tuple[str, object, object]

_MOST = 1000
_DEEPEST = 100
_ASSERTIONS = {"A": "start", "z": "end", "b": "word", "B": "noword"}


class Parser:
    """Reads one expression."""

    __slots__ = ("at", "flags", "names", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.flags = ""
        self.names = [""]

    def fault(self, what: str, part: str, hint: str = "") -> Failure:
        """The error *what* about *part* of the expression."""
        return Failure(f"error parsing regexp: {what}: `{part}`", hint)

    def more(self) -> str:
        """The next character, empty at the end."""
        return self.source[self.at : self.at + 1]

    def alternatives(self, depth: int) -> Tree:
        """Expressions joined by `|`, up to the end or a closing parenthesis."""
        if depth > _DEEPEST:
            raise self.fault("expression nests too deeply", self.source)
        branches = [self.sequence(depth)]
        while self.more() == "|":
            self.at += 1
            branches.append(self.sequence(depth))
        return branches[0] if len(branches) == 1 else ("or", branches, None)

    def sequence(self, depth: int) -> Tree:
        items: list[Tree] = []
        while self.more() and self.more() not in "|)":
            start = self.at
            if self.source.startswith("\\Q", self.at):
                end = self.source.find("\\E", self.at)
                literal = self.source[self.at + 2 : end if end >= 0 else None]
                self.at = end + 2 if end >= 0 else len(self.source)
                items += [self.letter(c) for c in literal]
                if literal:
                    items.append(self.repeated(items.pop(), start))
                continue
            if self.more() in "*+?":
                raise self.fault("missing argument to repetition operator", self.more())
            item = self.item(depth)
            if item:
                items.append(self.repeated(item, start))
        return ("list", items, None)

    def letter(self, char: str) -> Tree:
        return ("set", Charset([(char, char)], fold="i" in self.flags), None)

    def item(self, depth: int) -> Tree | None:
        """One item without its repetition; None for flags, which match nothing."""
        char = self.more()
        self.at += 1
        if char == "(":
            return self.group(depth)
        if char == "[":
            return ("set", self.charset(), None)
        if char == ".":
            return ("set", Charset([], negated=True) if "s" in self.flags else Charset([("\n", "\n")], negated=True), None)
        if char == "^":
            return ("assert", "linestart" if "m" in self.flags else "start", None)
        if char == "$":
            return ("assert", "lineend" if "m" in self.flags else "end", None)
        if char != "\\":
            return self.letter(char)
        kind = self.more()
        if kind in _ASSERTIONS and kind:
            self.at += 1
            return ("assert", _ASSERTIONS[kind], None)
        found = self.escaped_class()
        return ("set", found, None) if found else self.letter(self.escape())

    def escaped_class(self) -> Charset | None:
        r"""A class such as \d or \pL behind the backslash, None if it is no class."""
        kind = self.more()
        if kind and kind in PERL:
            self.at += 1
            return PERL[kind]
        if not kind or kind not in "pP":
            return None
        start = self.at - 1
        self.at += 1
        if self.more() == "{":
            end = self.source.find("}", self.at)
            name = self.source[self.at + 1 : end]
            self.at = end + 1 if end >= 0 else len(self.source)
            if end < 0:
                raise self.fault("invalid character class range", self.source[start:])
        else:
            name = self.more()
            self.at += 1
        negated = name.startswith("^") != (kind == "P")
        found = unicode_class(name.removeprefix("^"), negated=negated)
        if found is None:
            raise self.fault("invalid character class range", self.source[start : self.at])
        return found

    def escape(self) -> str:
        kind = self.more()
        start = self.at - 1
        if not kind:
            raise Failure("error parsing regexp: trailing backslash at end of expression: ``")
        self.at += 1
        if kind in ESCAPES:
            return ESCAPES[kind]
        if kind == "x":
            if self.more() == "{":
                end = self.source.find("}", self.at)
                digits = self.source[self.at + 1 : end] if end >= 0 else ""
                self.at = end + 1
            else:
                digits = self.source[self.at : self.at + 2] if len(self.source) >= self.at + 2 else ""
                self.at += 2
            if digits and len(digits) < 9 and all(d in "0123456789abcdefABCDEF" for d in digits) and int(digits, 16) <= 0x10FFFF:
                return chr(int(digits, 16))
        elif kind in "01234567" and (kind == "0" or (self.more() and self.more() in "01234567")):
            while self.more() and self.more() in "01234567" and self.at - start < 4:
                self.at += 1
            return chr(int(self.source[start + 1 : self.at], 8))
        elif kind.isascii() and not kind.isalnum() and kind != "_":
            return kind
        raise self.fault("invalid escape sequence", self.source[start : max(self.at, start + 2)])

    def charset(self) -> Charset:
        """A bracketed set, its bracket being read."""
        start = self.at - 1
        negated = self.more() == "^"
        self.at += negated
        found = Charset([], negated=negated, fold="i" in self.flags)
        first = True
        while first or self.more() != "]":
            first = False
            if not self.more():
                raise self.fault("missing closing ]", self.source[start:])
            if self.source.startswith("[:", self.at) and (end := self.source.find(":]", self.at + 2)) >= 0:
                name = self.source[self.at + 2 : end]
                group = named(name)
                if group is None:
                    raise self.fault("invalid character class range", self.source[self.at : end + 2])
                found.parts.append(group)
                self.at = end + 2
                continue
            begin = self.at
            low = self.member(found)
            if not low:
                continue
            high = low
            if self.more() == "-" and self.source[self.at + 1 : self.at + 2] not in {"]", ""}:
                self.at += 1
                high = self.member(None)
                if high < low:
                    raise self.fault("invalid character class range", self.source[begin : self.at])
            found.ranges.append((low, high))
        self.at += 1
        return found

    def member(self, found: Charset | None) -> str:
        """One character of a set; empty if it was a class, which is added to *found*."""
        char = self.more()
        if not char:
            raise self.fault("missing closing ]", self.source)
        self.at += 1
        if char != "\\":
            return char
        group = self.escaped_class() if found else None
        if group and found:
            found.parts.append(group)
            return ""
        return self.escape()

    def group(self, depth: int) -> Tree | None:
        start, outer = self.at - 1, self.flags
        number = 0
        if self.source.startswith(("?=", "?!", "?<=", "?<!"), self.at):
            part = self.source[start : self.at + 2 + (self.source[self.at + 1] == "<")]
            raise self.fault("invalid or unsupported Perl syntax", part, "these expressions are Go's, which have no look-around")
        if self.source.startswith(("?P<", "?<"), self.at):
            begin = self.source.find("<", self.at) + 1
            end = self.source.find(">", begin)
            name = self.source[begin:end] if end >= 0 else ""
            if not name or not name.replace("_", "a").isalnum() or name in self.names:
                what = "duplicate capture group name" if name and name in self.names else "invalid named capture"
                raise self.fault(what, self.source[start : end + 1 if end >= 0 else None])
            self.at = end + 1
            self.names.append(name)
            number = len(self.names) - 1
        elif self.more() == "?":
            self.at += 1
            if self.set_flags(start) == ")":
                return None
        else:
            self.names.append("")
            number = len(self.names) - 1
        tree = self.alternatives(depth + 1)
        if self.more() != ")":
            raise self.fault("missing closing )", self.source)
        self.at += 1
        self.flags = outer
        return ("group", tree, number) if number else tree

    def set_flags(self, start: int) -> str:
        """`i`, `m`, `s`, `U`, those behind a minus being cleared; what ended them: `)` or `:`."""
        clear = False
        while True:
            char = self.more()
            self.at += 1
            if char and char in "imsU":
                self.flags = self.flags.replace(char, "") + ("" if clear else char)
            elif char == "-" and not clear:
                clear = True
            elif char and char in ":)":
                return char
            else:
                raise self.fault("invalid or unsupported Perl syntax" if char else "missing argument to group", self.source[start : self.at])

    def repeated(self, item: Tree, start: int) -> Tree:
        bounds = self.bounds()
        if not bounds:
            return item
        low, high = bounds
        greedy = "U" not in self.flags
        if self.more() == "?":
            self.at += 1
            greedy = not greedy
        if low > _MOST or high > _MOST or (0 <= high < low):
            raise self.fault("invalid repeat count", self.source[self.source.rfind("{", 0, self.at) : self.at])
        again = self.at
        if self.bounds():
            raise self.fault("invalid nested repetition operator", self.source[start + 1 : self.at] if again else "")
        return ("repeat", item, (low, high, greedy))

    def bounds(self) -> tuple[int, int] | None:
        """The least and most count (-1: any) of a repetition operator, None if there is none."""
        char = self.more()
        if char and char in "*+?":
            self.at += 1
            return {"*": (0, -1), "+": (1, -1), "?": (0, 1)}[char]
        end = self.source.find("}", self.at)
        if char != "{" or end < 0:
            return None
        low, comma, high = self.source[self.at + 1 : end].partition(",")
        if not low.isdecimal() or not (high.isdecimal() or not high) or len(low) > 6 or len(high) > 6:
            return None
        self.at = end + 1
        return int(low), int(high) if high else -1 if comma else int(low)
