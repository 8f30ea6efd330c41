"""Which programs a shell text calls, as far as its words say so: no guess is made where quotes, expansions or here-documents decide it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BUILTINS = frozenset(""". : [ alias bg break cd command continue echo eval exec exit export false fg getopts hash help jobs kill let local popd printf pushd pwd read
readonly return set shift shopt source test time times trap true type typeset ulimit umask unalias unset wait declare mapfile [[ ]] in function select""".split())
OPENING = frozenset(("if", "then", "else", "elif", "while", "until", "do", "!", "{", "exec", "command", "nohup", "sudo", "time"))
"""Words behind which a command stands."""
CLOSING = frozenset(("fi", "done", "esac", "}"))
ASKS = frozenset(("which", "type", "hash", "-x", "-e", "-f", "-v"))
"""Words behind which stands a name that a text asks for before it is called."""
BREAKS = "\n;&|()"
EXPANDS = "$`\"'\\*?[~"


def called(*texts: str) -> set[str]:
    """The programs that *texts* of one step call: paths, or words for the PATH. What one of them defines or asks for counts for all."""
    looks = [_looked_at(text) for text in texts]
    defined = set().union(*(look[1] for look in looks))
    asked = set().union(*(look[2] for look in looks))
    return {word for found, _, _ in looks for word in found if word not in defined and word.rpartition("/")[2] not in asked}


def _looked_at(text: str) -> tuple[set[str], set[str], set[str]]:
    """What *text* calls, which functions it defines, and the names of programs that it asks for."""
    found: set[str] = set()
    defined: set[str] = set()
    asked: set[str] = set()
    expected, skipped, before = True, False, ""
    for word, plain in _words(text):
        if word in (*BREAKS, ""):
            if word == "(" and before:
                defined.add(before)
            expected, skipped = True, False
        elif word in ("<", ">"):
            skipped = True
        elif skipped:
            skipped = False
        else:
            if before in ASKS and plain:
                asked.add(word.rpartition("/")[2])
            if expected and plain:
                expected = word in OPENING or ("=" in word and word.partition("=")[0].isidentifier())
                if word in ("case", "function", "select"):
                    break
                if not expected and word not in BUILTINS | CLOSING and word != "for" and not word.startswith("-") and not word.isdecimal():
                    found.add(word)
            else:
                expected = False
        before = word
    return found, defined, asked


def _words(text: str) -> Iterator[tuple[str, bool]]:
    """The words of *text*, and whether each means itself; an operator is a word of one character."""
    at, end = 0, len(text)
    while at < end:
        char = text[at]
        if text.startswith("<<", at):
            return  # a here-document: what follows is text
        if char in " \t":
            at += 1
        elif text.startswith("\\\n", at):
            at += 2
        elif char == "#":
            at = _until(text, "\n", at)
        elif char in BREAKS or char in "<>":
            if char == "&" and text[at + 1:at + 2] == ">":
                at += 1
            elif char in "<>":
                while text[at + 1:at + 2] in ("&", ">", "|"):
                    at += 1
                char = ">"
            yield char, False
            at += 1
        else:
            start, plain = at, True
            while at < end and text[at] not in " \t" + BREAKS + "<>":
                plain = (plain and text[at] not in EXPANDS) or (at == start and text[at] == "[")
                at = _behind(text, at)
            yield text[start:at], plain


def _behind(text: str, at: int) -> int:
    """The place behind the character, the quoted part or the expansion at *at*."""
    char = text[at]
    if char == "\\":
        return at + 2
    if char in "'`":
        return _until(text, char, at + 1) + 1
    if char == '"':
        at += 1
        while at < len(text) and text[at] != '"':
            at = _behind(text, at) if text[at] in "\\$`" else at + 1
        return at + 1
    if char == "$" and text[at + 1:at + 2] in ("(", "{"):
        closing, depth, at = {"(": ")", "{": "}"}[text[at + 1]], 1, at + 2
        opening = {")": "(", "}": "{"}[closing]
        while at < len(text) and depth:
            depth += (text[at] == opening) - (text[at] == closing)
            at = _behind(text, at) if text[at] in "\\'\"`" else at + 1
        return at
    return at + 1


def _until(text: str, char: str, at: int) -> int:
    found = text.find(char, at)
    return len(text) if found < 0 else found
