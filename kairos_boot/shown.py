"""What people may see: addresses without logins, commands without passwords (C5), foreign text without control characters (E6).

The rules for commands are also those for the kernel command line and for logs that others wrote. They rather hide too much.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from re import Match
    from typing import Any

LEFT_OUT = "(left out)"
_NAME = r"(?:passw(?:or)?d|passphrase|(?<![a-z])(?:pass|pwd|pw|psk)(?![a-z])|psk(?![a-z])|token|secret|credential|keys?(?![a-z]))"
"""What a key is called whose value is secret: also `api_key`, `K3S_TOKEN`, `encrypted_pw`; not `keymap`."""
_SIMPLE = r"""(?:"(?:\\.|[^"\\\n])*(?:"|$)|'[^'\n]*(?:'|$)|\\"(?:[^"\\\n]|\\[^"\n])*(?:\\"|$)|\$\([^()\n]*\)|[^\s"'\\]|\\[^"\n])"""
VALUE = rf"""(?!["']?\(left out\)){_SIMPLE}(?:(?!\\?["'](?:[\s,;)}}\]:]|$)){_SIMPLE})*"""
"""A word with its quotes; a quote that is not closed reaches to the end of the line. One that ends the word is that of a text around it."""
WORD = rf"(?!\(left out\)){_SIMPLE}+"
"""The same on a kernel command line, around which there is nothing."""

HARMLESS = "passwd: password changed"
"""What `passwd` says, of which nothing need be hidden."""
ADDRESS = r"(?<![a-z0-9+.\-])[a-z][a-z0-9+.\-]{0,32}://[^\s\"'`<>\\]+"
INSIDE = tuple("abcdefghijklmnopqrstuvwxyz0123456789+.-")
"""A dash after one of these does not begin an option."""
NAMES = ("pass", "pw", "psk", "token", "secret", "credential", "key")
"""One of them is in whatever `_NAME` finds."""


def _has_secret_option(small: str) -> bool:
    """Whether in a word of *small* something like a secret's name follows a dash that begins an option, as none in `ssh-keygen` does."""
    for word in small.split():
        at = word.find("-")
        while at >= 0:
            if word[at - 1:at] not in INSIDE and any(name in word[at:] for name in NAMES):
                return True
            at = word.find("-", at + 1)
    return False


def _has_secret_key(small: str) -> bool:
    """Whether in the word before a colon of *small* there is something like a secret's name."""
    return any(name in word for part in small.split(":")[:-1] for word in part.split()[-1:] for name in NAMES)


RULES = (
    (ADDRESS, ("://",)),
    (rf"((?<![a-z0-9+.\-])--?[a-z0-9\-]{{0,64}}{_NAME}(?![a-z0-9\-]*-(?:file|path|dir|stdin)\b)[a-z0-9\-]{{0,64}}\s+)(?!-)VALUE", _has_secret_option),
    (rf"({_NAME}[\w.\-\[\]]{{0,64}}[\"']?\s?=)VALUE", ("=",), NAMES),
    (r"(--from-literal[= ][\w.\-]{1,64}=)VALUE", ("--from-literal",)),
    (rf"(\\?[\"'][\w.\- ]{{0,64}}{_NAME}[\w.\- ]{{0,64}}\\?[\"']\s?:\s?)VALUE", (":",), ("'", '"'), NAMES),
    (r"((?<![\w\-])(?:-u|--user|--proxy-user)[\s=]?[\s]{0,8}[\"']?(?!\d+:\d+\b)[\w.\\][^\s\"':]{0,64}:)VALUE", (":",), ("-u",)),
    (r"((?:authorization|cookie|x-[\w\-]{0,32}(?:token|key|secret|auth)[\w\-]{0,32})[\"']?\s?[:=](?!\s?\(left out\))\s?)[^\"'\n]+",
     (":", "="), ("authorization", "cookie", "x-"), ("auth", "cookie", "token", "key", "secret")),
    (r"((?<![\w.+@/:\-])[\w.+\-]{1,64}:)(?!\(left out\))(?![/\\])[^\s\"']{1,256}(?=@(?!sha\d+:))", ("@",), (":",)),
    (r"(\b(?:sshpass|useradd|usermod|mysql\w*|mariadb\w*|login)\b[^\n;|&]{0,200}?\s-p\s?)VALUE",
     ("-p",), ("sshpass", "useradd", "usermod", "mysql", "mariadb", "login")),
    (r"(\b(?:redis-cli|ipmitool|ldap\w+)\b[^\n;|&]{0,200}?\s-[apw]\s?)VALUE", ("-a", "-p", "-w"), ("redis-cli", "ipmitool", "ldap")),
    (r"(\b(?:smbclient|rpcclient|net)\b[^\n;|&]{0,200}?\s-U\s?[^\s%]{1,64}%)VALUE", ("%",), ("-u",), ("client", "net")),
    (r"(\bwpa_passphrase\s+VALUE\s+)VALUE", ("wpa_passphrase",)),
    (r"(\bhtpasswd\s+(?:-\w+\s+)*-\w*b\w*\s+(?:-\w+\s+)*(?:VALUE\s+){1,2})VALUE\s*$", ("htpasswd",)),
    (r"(\b(?:mkpasswd|openssl\s+passwd)\b(?:\s+-[\w\-]+)*\s+)(?!-)VALUE", ("passwd",), ("mkpasswd", "openssl")),
    (r"(\b(?:echo|printf)\b)(?! \(left out\))[^|\n]{1,512}(?=\|[^\n]{0,200}(?:passwd|cryptsetup|password-stdin|sudo\s+-S))",
     ("|",), ("echo", "printf"), ("passwd", "cryptsetup", "password-stdin", "sudo")),
    (r"(\b(?:chpasswd|passwd|cryptsetup)\b[^\n]{0,200}<<<\s*)VALUE", ("<<<",)),
)
"""Each keeps its group and hides the rest of what it finds; letters of any case. After it what a text must have, one sign of each
group or what a function looks for, for the rule to find anything: few have, and `re` and the compiled rules cost more than a small stage does."""
OF_COMMANDS = (
    (rf"({_NAME}[\w.\-]{{0,64}}\s?:\s?)(?!//)VALUE", _has_secret_key),
    (r"((?<!\S)[\"']?[\w.\-]{0,64}(?:password|passphrase|psk|token|secret)\s+(?:-[\w\-]{1,64}\s+)*)(?!-[\w\-]{1,64}\s)VALUE", ("password", "passphrase", "psk", "token", "secret")),
)
"""Only where a text is known to be a command: messages have such words before a colon, too."""
OF_CMDLINES = ((r"\"stages[.\[](?:\\.|[^\"\\\n])*(?:\"|$)()", ('"stages',)), (r"(stages[.\[][^\s=]{0,512}=)VALUE", ("stages",)))
"""Configuration in dot notation: all of it, since any of its words may be one."""
_compiled: dict[tuple[str, str], Callable[[str], str]] = {}


def shown(url: str) -> str:
    """*url* for people: without user, password and query, which may be secret (C5).

    A password may have a bare slash in it. Where an `@` in the path could also end such a password, all before it is left out.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    before, at, after = rest.rpartition("@")
    host, slash, _ = before.partition("/")
    if not at or before.endswith("/") or after.startswith(("sha256:", "sha512:")):
        login = before.rpartition("@")[0] if at and not before.endswith("/") else ""
        rest = rest[len(login) + 1:] if login else rest
    elif not slash and (separator or ":" in before):
        rest = after
    elif slash and ":" in host and not host.endswith("]"):
        name, _, port = host.rpartition(":")
        rest = f"{name}:{LEFT_OUT}@{after}" if port.isdecimal() else f"{LEFT_OUT}@{after}" if "@" in host else after
    elif "@" in host:
        rest = rest.partition("@")[2]
    return f"{scheme}{separator}{rest.partition('?')[0].partition('#')[0]}"


def masked(text: str) -> str:
    """*text* of a command, or what a program said, without what looks like a login."""
    return _without(text, VALUE, (*RULES, *OF_COMMANDS))


def masked_log(text: str) -> str:
    """Lines that anybody wrote, the kernel command line among them, without what looks like a login or is configuration."""
    if "ommand line: " in text:
        parts = (line.partition("ommand line: ") for line in text.split("\n"))
        text = "\n".join(head + sign + (masked_cmdline(rest) if sign else "") for head, sign, rest in parts)
    return _without(text, VALUE, (*RULES, *OF_CMDLINES))


def masked_cmdline(text: str) -> str:
    """A kernel command line without logins, configuration, and what follows a quote that is not closed."""
    return _without(_open_quote(text), WORD, (RULES[0], *OF_CMDLINES, *RULES[1:]))


def _without(text: str, value: str, rules: Sequence[tuple[Any, ...]]) -> str:
    """*text* after the *rules*, whose VALUE is the expression *value*."""
    for rule, *groups in rules:
        if may_find(groups, text):
            if (rule, value) not in _compiled:
                _compiled[rule, value] = _compile(rule, value)
            text = _compiled[rule, value](text)
    return text


def may_find(groups: Sequence[Sequence[str] | Callable[[str], bool]], text: str) -> bool:
    """Whether *text* has what the rule with these *groups* needs; letters count that an expression takes for ASCII ones."""
    small = text.lower().replace(HARMLESS, " ")
    if not text.isascii():
        small = small.replace("\u0131", "i").replace("i\u0307", "i").replace("\u017f", "s")
    return all(group(small) if callable(group) else any(sign in small for sign in group) for group in groups)


def _compile(rule: str, value: str) -> Callable[[str], str]:
    import re  # costly; only for who has something to hide

    def hide(found: Match[str]) -> str:
        return f"{found[1] or ''}{' ' if found[1].endswith(('echo', 'printf')) else ''}{LEFT_OUT}"

    def address(found: Match[str]) -> str:
        seen = shown(found[0])
        if "@" in found[0] and "@" not in seen:
            seen = seen.replace("://", f"://{LEFT_OUT}@", 1)
        return f"{seen}?…" if "?" in found[0] else seen

    if rule == ADDRESS:
        compiled, replace = re.compile(rule, re.IGNORECASE), address
    else:
        compiled, replace = re.compile(rule.replace("VALUE", value), re.IGNORECASE | re.MULTILINE), hide
    return lambda text: compiled.sub(replace, text)


def _open_quote(line: str) -> str:
    """*line* up to a quote that is not closed."""
    opened, quote = -1, ""
    for at, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            opened, quote = at, letter
    return f"{line[:opened + 1]}{LEFT_OUT}" if quote else line


def plain(text: str) -> str:
    """Foreign *text* with control characters written as escapes, so that it does nothing to a terminal; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode() for char in text)


def one_line(text: str) -> str:
    """A foreign name, or the like, that must not begin a new line."""
    return text if text.isprintable() else "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
