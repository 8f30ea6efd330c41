"""sprig: check sums, text encodings of bytes, and password hashes made by the node's libcrypt."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.values import Failure, decode, encode

_COST = 400_000
"""What a slow hash counts, in units of work: a template can make ten."""
_SALT = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _digest(name: str, text: str) -> str:
    import hashlib

    return hashlib.new(name, encode(text), usedforsecurity=False).hexdigest()


def adler32(text: str) -> str:
    """The sum as a decimal number."""
    from zlib import adler32 as checksum

    return str(checksum(encode(text)))


def b64_encode(text: str) -> str:
    from base64 import b64encode

    limits.text_fits(len(text) * 4 // 3)
    return b64encode(encode(text)).decode()


def b32_encode(text: str) -> str:
    from base64 import b32encode

    limits.text_fits(len(text) * 8 // 5)
    return b32encode(encode(text)).decode()


def b64_decode(text: str) -> str:
    """The decoded text; of what is no base64, Go's description of the fault (line ends are ignored)."""
    from base64 import b64decode

    plain = text.replace("\r", "").replace("\n", "")
    fault = _fault(plain, 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", {0, 2, 3})
    return decode(b64decode(plain)) if fault < 0 else f"illegal base64 data at input byte {_offset(text, fault)}"


def b32_decode(text: str) -> str:
    """The same for base32."""
    from base64 import b32decode

    plain = text.replace("\r", "").replace("\n", "")
    fault = _fault(plain, 8, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", {0, 2, 4, 5, 7})
    return decode(b32decode(plain)) if fault < 0 else f"illegal base32 data at input byte {_offset(text, fault)}"


def _fault(text: str, group: int, alphabet: str, lengths: set[int]) -> int:
    """Where *text* stops being padded data in groups of *group* letters, -1 if nowhere."""
    body = text.rstrip("=")
    for place, char in enumerate(body):
        if char not in alphabet:
            closes = char == "=" and (place % group == group - 1 or (group == 4 and body[place : place + 2] == "==" and place % 4 == 2))
            return place + (group - place % group if closes else 0)
    padding = len(text) - len(body)
    needed = -len(body) % group
    if len(body) % group not in lengths:
        return len(body) if padding else max(0, len(body) - len(body) % group)
    if padding == needed:
        return -1
    return len(body) + needed if padding > needed else len(text) if padding else len(body) - len(body) % group


def _offset(text: str, place: int) -> int:
    """*place* counted with the line ends that were left out."""
    for offset, char in enumerate(text):
        if char not in "\r\n":
            if place == 0:
                return offset
            place -= 1
    return len(text)


def bcrypt(password: str) -> str:
    """The bcrypt hash with a fresh salt and cost 10, made by the node's libcrypt."""
    import ctypes
    import os

    limits.work(_COST)
    if len(encode(password)) > 72 or "\0" in password:
        return "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes"
    salt = "".join(_SALT[byte % 64] for byte in os.urandom(21)) + "."
    try:
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
    except (OSError, AttributeError):
        raise Failure("this system has no libcrypt", "put the hash itself into the document") from None
    crypt.restype, crypt.argtypes = ctypes.c_char_p, (ctypes.c_char_p, ctypes.c_char_p)
    result: bytes | None = crypt(encode(password), f"$2a$10${salt}".encode())
    if not result or not result.startswith(b"$2a$"):
        raise Failure("libcrypt does not know bcrypt", "put the hash itself into the document")
    return result.decode()


FUNCTIONS = {
    "sha1sum": ("s", lambda text: _digest("sha1", text)), "sha256sum": ("s", lambda text: _digest("sha256", text)),
    "sha512sum": ("s", lambda text: _digest("sha512", text)), "adler32sum": ("s", adler32), "b64enc": ("s", b64_encode),
    "b64dec": ("s", b64_decode), "b32enc": ("s", b32_encode), "b32dec": ("s", b32_decode), "bcrypt": ("s", bcrypt),
}  # fmt: skip
