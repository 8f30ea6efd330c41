"""Files of `NAME=value` lines, read as the dotenv libraries and a shell do: quotes, escapes, comments, `${NAME}`."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse(text: str, environment: Mapping[str, str] | None = None) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """The values, the last of a name wins, and what is wrong by line number.

    A value in single quotes is literal; in double quotes it may span lines, a backslash protects the next character, and `$NAME` is
    replaced by an earlier value, else by *environment*. Without quotes ` #` begins a comment.
    """
    scanner = _Scanner(text, os.environ if environment is None else environment)
    scanner.run()
    return scanner.values, scanner.problems


class _Scanner:
    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self.text, self.at, self.environment = text, 0, environment
        self.values: dict[str, str] = {}
        self.problems: list[tuple[int, str]] = []

    def run(self) -> None:
        while self.at < len(self.text):
            end = self._end()
            line, start = self.text[self.at:end], self.at
            bare = line.strip()
            if not bare or bare.startswith("#"):
                self.at = end + 1
                continue
            name, mark, _ = line.partition("=")
            key = name.strip().removeprefix("export ").strip()
            if not mark or not key.replace(".", "_").isidentifier():
                self._problem(start, f"not NAME=value: {bare!r}")
                self.at = end + 1
                continue
            self.at = start + len(name) + 1
            value = self._value(start)
            if value is not None:
                self.values[key] = value

    def _end(self) -> int:
        end = self.text.find("\n", self.at)
        return len(self.text) if end < 0 else end

    def _problem(self, at: int, text: str) -> None:
        self.problems.append((self.text.count("\n", 0, at) + 1, text))

    def _value(self, start: int) -> str | None:
        end = self._end()
        rest = self.text[self.at:end]
        first = rest.lstrip()[:1]
        if first not in ('"', "'"):
            self.at = end + 1
            cut = (" " + rest).find(" #")
            return self._expand((rest if cut < 0 else rest[:max(cut - 1, 0)]).strip())
        begin = self.at + rest.index(first) + 1
        close = self._close(begin, first)
        if close < 0:
            self._problem(start, f"the quote {first} is never closed")
            self.at = end + 1
            return None
        body = self.text[begin:close]
        self.at = close + 1
        tail = self.text[self.at:self._end()].strip()
        if tail and not tail.startswith("#"):
            self._problem(start, f"text behind the closing quote: {tail!r}")
        self.at = self._end() + 1
        return body if first == "'" else self._expand(body, escapes=True)

    def _close(self, begin: int, quote: str) -> int:
        at = begin
        while at < len(self.text):
            if self.text[at] == "\\" and quote == '"':
                at += 1
            elif self.text[at] == quote:
                return at
            at += 1
        return -1

    def _expand(self, text: str, *, escapes: bool = False) -> str:
        if "$" not in text and "\\" not in text:
            return text
        out, at = "", 0
        while at < len(text):
            char = text[at]
            if char == "\\" and escapes and at + 1 < len(text):
                out += _ESCAPES.get(text[at + 1], text[at + 1])
                at += 2
            elif char == "$":
                name, at = _name(text, at + 1)
                out += self.values.get(name, self.environment.get(name, "")) if name else "$"
            else:
                out, at = out + char, at + 1
        return out


def _name(text: str, at: int) -> tuple[str, int]:
    """The name behind a `$`, plain or in braces, and where the text goes on."""
    if text[at:at + 1] == "{":
        close = text.find("}", at)
        return (text[at + 1:close], close + 1) if close > 0 else ("", at)
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[at:end], end
