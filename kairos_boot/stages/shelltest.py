"""Conditions that need no shell: plain `test`, `grep` and `true` forms, decided in this process.

Most published conditions are like `[ ! -f /run/cos/recovery_mode ] && grep -q kairos.reset /proc/cmdline`: a shell costs ten
times what they do. A text is decided here only where every POSIX shell and grep give the same answer; anything else (expansions,
other programs, options or operators, non-ASCII text, doubtful files) is left to the shell.
"""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.stages.shellfacts import Undecided, evaluate
from kairos_boot.system.host import Host

RESERVED = ("if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in", "function", "select",
            "time", "coproc", "[[", "]]", "}", "!", "{")
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:+@%=")
"""Characters that mean themselves outside quotes."""


def decided(text: str, host: Host) -> bool | None:
    """Whether the shell text *text* succeeds on *host*; None where only the shell can tell. Nothing is run or changed."""
    try:
        return _Text(text, host).result()
    except (Undecided, RecursionError, KairosError):
        return None


class _Text:
    """A parser that evaluates nothing before it has read everything, since a syntax error anywhere changes what a shell does."""

    def __init__(self, text: str, host: Host) -> None:
        self.host = host
        self.tokens = _tokens(text)
        self.at = 0

    def result(self) -> bool:
        tree = self._list(None)
        if self.at < len(self.tokens):
            raise Undecided
        return evaluate(tree, self.host)

    def _peek(self) -> object:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _newlines(self) -> None:
        while self._peek() == "\n":
            self.at += 1

    def _list(self, end: str | None) -> tuple[object, ...]:
        """Commands one after the other up to *end* (`)` or the word `}`), which is left."""
        tree: tuple[object, ...] | None = None
        self._newlines()
        while True:
            next_ = self._peek()
            if next_ is None or next_ == ")" or _bare(next_) == "}":
                if (next_ if next_ == ")" or next_ is None else "}") != end or (tree is None and end is not None):
                    raise Undecided
                return tree or ("true",)
            item = self._and_or()
            tree = item if tree is None else ("then", tree, item)
            next_ = self._peek()
            if next_ in (";", "\n"):
                self.at += 1
                self._newlines()
            elif not (next_ is None or next_ == ")") or (end == "}"):
                raise Undecided

    def _and_or(self) -> tuple[object, ...]:
        tree = self._pipeline()
        while self._peek() in ("&&", "||"):
            word = self.tokens[self.at]
            self.at += 1
            self._newlines()
            tree = (word, tree, self._pipeline())
        return tree

    def _pipeline(self) -> tuple[object, ...]:
        negated = _bare(self._peek()) == "!"
        self.at += negated
        tree = self._command()
        if self._peek() == "|":
            self.at += 1
            self._newlines()
            tree = ("|", tree, self._command())
            if self._peek() == "|":
                raise Undecided
        return ("!", tree) if negated else tree

    def _command(self) -> tuple[object, ...]:
        next_ = self._peek()
        self.at += 1
        if next_ == "(" or _bare(next_) == "{":
            end = ")" if next_ == "(" else "}"
            tree = self._list(end)
            self.at += 1
            if isinstance(self._peek(), _Word | _Null):
                raise Undecided
            return tree
        if not isinstance(next_, _Word) or _bare(next_) in RESERVED:
            raise Undecided
        words = [next_]
        null = False
        while isinstance(self._peek(), _Word | _Null):
            following = self.tokens[self.at]
            self.at += 1
            if isinstance(following, _Word):
                words.append(following)
            else:
                null = True
        if self._peek() == "(" or (next_.bare and "=" in next_.text):
            raise Undecided
        return ("run", null, *(word.text for word in words))


class _Word:
    """A word after quotes were removed; *bare* is whether none of it was quoted."""

    __slots__ = ("bare", "text")

    def __init__(self, text: str, *, bare: bool) -> None:
        self.text = text
        self.bare = bare


class _Null:
    """Output thrown away."""


def _bare(next_: object) -> str:
    return next_.text if isinstance(next_, _Word) and next_.bare else ""


NULLS = (">/dev/null", "2>/dev/null", "1>/dev/null", "2>&1", "> /dev/null", "2> /dev/null", "1> /dev/null")


def _tokens(text: str) -> list[object]:
    """Words, operators as text, redirections to /dev/null. Undecided: anything that a shell would expand, or an open quote."""
    if not all(" " <= c <= "~" or c in "\t\n" for c in text):
        raise Undecided
    tokens: list[object] = []
    at = 0
    while at < len(text):
        c = text[at]
        if c in " \t":
            at += 1
        elif text.startswith("\\\n", at):
            at += 2
        elif c == "#":
            at = text.find("\n", at)
            at = len(text) if at < 0 else at
        elif text.startswith(("&&", "||"), at):
            tokens.append(text[at:at + 2])
            at += 2
        elif text.startswith("((", at):
            raise Undecided  # arithmetic in some shells
        elif c in "\n;()|":
            tokens.append(c)
            at += 1
        elif c == ">" or (c in "12" and text[at + 1:at + 2] == ">"):
            null = next((n for n in NULLS if text.startswith(n, at) and text[at + len(n):at + len(n) + 1] in ("", *" \t\n;)|&")), "")
            if not null:
                raise Undecided
            tokens.append(_Null())
            at += len(null)
        else:
            word, at = _word(text, at)
            tokens.append(word)
    return tokens


def _word(text: str, at: int) -> tuple[_Word, int]:
    parts: list[str] = []
    start = at
    bare = True
    while at < len(text) and text[at] not in " \t\n;()|&<>":
        c = text[at]
        if c == "'":
            end = text.find("'", at + 1)
            if end < 0:
                raise Undecided
            parts.append(text[at + 1:end])
            at, bare = end + 1, False
        elif c == '"':
            part, at = _quoted(text, at + 1)
            parts.append(part)
            bare = False
        elif c == "\\":
            if at + 1 == len(text):
                raise Undecided
            if text[at + 1] != "\n":
                parts.append(text[at + 1])
                bare = False
            at += 2
        else:
            parts.append(c)
            at += 1
            if c not in PLAIN and not (c in "[]!{}" and at - start == 1 and (at == len(text) or text[at] in " \t\n;()|&<>")):
                raise Undecided
    if at < len(text) and text[at] in "&<>" and not text.startswith("&&", at):
        raise Undecided  # the background, or a redirection that sticks to its word
    return _Word("".join(parts), bare=bare), at


def _quoted(text: str, at: int) -> tuple[str, int]:
    """What stands between double quotes, from behind the first to behind the second."""
    parts: list[str] = []
    while at < len(text):
        c = text[at]
        if c == '"':
            return "".join(parts), at + 1
        if c in "$`":
            raise Undecided
        if c == "\\" and text[at + 1:at + 2] in ('"', "\\", "$", "`", "\n"):
            parts.append("" if text[at + 1] == "\n" else text[at + 1])
            at += 2
            continue
        parts.append(c)
        at += 1
    raise Undecided
