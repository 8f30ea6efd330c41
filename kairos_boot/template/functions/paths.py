"""sprig: slash-separated paths, and URLs taken apart and put together."""

from __future__ import annotations

from kairos_boot.template.gofmt import sprint_value
from kairos_boot.template.text import quote
from kairos_boot.template.values import Failure, decode, encode

_HEX = frozenset("0123456789abcdefABCDEF")
_SAFE_PATH = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~$&+,/:;=@!'()*[]%")


def base(path: str) -> str:
    """The last element; `.` of nothing, `/` of slashes."""
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def clean(path: str) -> str:
    """The shortest path that names the same, by the text alone."""
    root = path.startswith("/")
    out: list[str] = []
    for part in path.split("/"):
        if part == ".." and (out and out[-1] != ".."):
            out.pop()
        elif part == ".." and root:
            continue
        elif part not in {"", "."}:
            out.append(part)
    return ("/" if root else "") + "/".join(out) or "."


def directory(path: str) -> str:
    return clean(path[: path.rfind("/") + 1])


def extension(path: str) -> str:
    """From the last dot of the last element on."""
    name = path.rpartition("/")[2]
    return name[name.rfind(".") :] if "." in name else ""


def _unescape(text: str, place: str) -> str:
    out = bytearray()
    position = 0
    while position < len(text):
        char = text[position]
        if char == "%":
            code = text[position + 1 : position + 3]
            if len(code) < 2 or not set(code) <= _HEX:
                raise Failure(f"invalid URL escape {quote(text[position : position + 3])}")
            out.append(int(code, 16))
            position += 3
            continue
        if place == "host" and char in ' "<>\\^`{|}':
            raise Failure(f"invalid character {quote(char)} in host name")
        out += encode(char)
        position += 1
    return decode(bytes(out))


def url_parse(text: str) -> dict[str, object]:
    """The parts of a URL: scheme, userinfo, host (with port), hostname, path, query, opaque, fragment."""
    try:
        return _parse(text)
    except Failure as fault:
        raise Failure(f"unable to parse url: parse {quote(text)}: {fault.reason}") from None


def _parse(text: str) -> dict[str, object]:
    rest, _, fragment = text.partition("#")
    if any(char < " " or char == "\x7f" for char in text):
        raise Failure("net/url: invalid control character in URL")
    scheme, colon, after = rest.partition(":")
    if not colon or not (scheme.replace("+", "").replace("-", "").replace(".", "").isalnum() and scheme[:1].isalpha() and scheme.isascii()):
        if colon and not scheme:
            raise Failure("missing protocol scheme")
        if colon and "/" not in scheme and "?" not in scheme and (scheme[:1].isdecimal() or scheme.isascii()):
            raise Failure("first path segment in URL cannot contain colon")
        scheme, after = "", rest
    after, _, query = after.partition("?")
    opaque = userinfo = host = ""
    path = after
    if scheme and not after.startswith("/") and after:
        opaque, path = after, ""
    elif after.startswith("//") and (scheme or not after.startswith("///")):
        authority, slash, path = after[2:].partition("/")
        path = slash + path
        userinfo, at, host = authority.rpartition("@")
        host = _host(host)
        if at:
            name, mark, word = userinfo.partition(":")
            userinfo = _user(_unescape(name, "user")) + mark + _user(_unescape(word, "user"))
    name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    return {
        "scheme": scheme.lower(), "userinfo": userinfo, "host": host, "hostname": name, "path": _unescape(path, "path"), "query": query,
        "opaque": opaque, "fragment": _unescape(fragment, "fragment"),
    }  # fmt: skip


def _host(host: str) -> str:
    if host.startswith("["):
        if "]" not in host:
            raise Failure("missing ']' in host")
        port = host[host.rfind("]") + 1 :]
    else:
        port = host[host.rfind(":") :] if ":" in host else ""
    if port and not (port[0] == ":" and (port[1:].isdecimal() or port == ":")):
        raise Failure(f"invalid port {quote(port)} after host")
    return _unescape(host, "host")


def _user(text: str) -> str:
    safe = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~$&+,;=")
    return "".join(chr(b) if b in safe else f"%{b:02X}" for b in encode(text))


def _escape(text: str) -> str:
    return "".join(chr(b) if b in _SAFE_PATH and b != 0x25 else f"%{b:02X}" for b in encode(text))


def url_join(parts: dict[str, object]) -> str:
    """The URL of parts as `urlParse` gives them; all may be missing."""

    def part(name: str) -> str:
        value = parts.get(name, "")
        if not isinstance(value, str):
            raise Failure(f"unable to parse {name} key, must be of type string, but interface {{}} found: {sprint_value(value)}")
        return value

    scheme, host, path, query, user = part("scheme"), part("host"), part("path"), part("query"), part("userinfo")
    text = scheme + ":" if scheme else ""
    if opaque := part("opaque"):
        text += opaque
    else:
        if scheme or host or user:
            if host or path or user:
                text += "//" if host or user or path.startswith("//") or not scheme or path else ""
            text += user + "@" if user else ""
            text += _escape(host)
        if path and not path.startswith("/") and host:
            text += "/"
        text += _escape(path)
    if query:
        text += "?" + query
    if fragment := part("fragment"):
        text += "#" + _escape(fragment)
    return text


FUNCTIONS = {
    "base": ("s", base), "osBase": ("s", base), "dir": ("s", directory), "osDir": ("s", directory), "clean": ("s", clean),
    "osClean": ("s", clean), "ext": ("s", extension), "osExt": ("s", extension), "isAbs": ("s", lambda path: path.startswith("/")),
    "osIsAbs": ("s", lambda path: path.startswith("/")), "urlParse": ("s", url_parse), "urlJoin": ("m", url_join),
}  # fmt: skip
