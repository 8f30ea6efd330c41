"""The tokens of a template as the parser takes them, and the errors about them."""

from __future__ import annotations

from kairos_boot.template.lexer import tokens
from kairos_boot.template.text import quote
from kairos_boot.template.values import located, syntax_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.template.lexer import Token


class TokenStream:
    """Tokens with a place to read from; *action* is where the action being read began.

    Lines are counted when an error needs one: counting them at each action would take time quadratic in the text.
    """

    __slots__ = ("action", "at", "text", "tokens")

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0
        self.action = -1

    def next(self, *, blank: bool = False) -> Token:
        """Take a token; white space only if *blank*."""
        token = self.peek(blank=blank)
        if self.at < len(self.tokens) - 1:
            self.at += 1
        return token

    def peek(self, *, blank: bool = False) -> Token:
        if not blank:
            while self.tokens[self.at][0] == "space":
                self.at += 1
        return self.tokens[self.at]

    def expect(self, kind: str, context: str) -> Token:
        token = self.next()
        if token[0] != kind:
            raise self.unexpected(token, context)
        return token

    def error(self, reason: str, *, function: str = "", hint: str = "") -> Exception:
        """The error *reason* at the line of the last token taken."""
        line = located(self.text, self.tokens[max(self.at - 1, 0)][2])[0]
        return syntax_error(line, reason, function=function, hint=hint)

    def unexpected(self, token: Token, context: str) -> Exception:
        """The error of a token that does not belong in *context*."""
        kind, value, position = token
        if kind == "error":
            line = located(self.text, position)[0]
            began = located(self.text, self.action)[0] if self.action >= 0 else line
            if began != line:
                started = f" started at template:{began}"
                value += started if value.endswith(" action") else " in action" + started
            return syntax_error(line, value)
        shown = "EOF" if kind == "eof" else f"<{value}>" if kind in {"keyword", "nil", "."} else quote(value)
        if kind not in {"eof", "keyword", "nil"} and len(value) > 10:
            shown = quote(value[:10]) + "..."
        return syntax_error(located(self.text, position)[0], f"unexpected {shown} in {context}")
