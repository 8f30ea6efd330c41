"""Password fields of shadow: SHA-crypt as published ("Unix crypt using SHA-256 and SHA-512", U. Drepper, version 0.6).

Python has no `crypt` since 3.13, and an initrd has no libcrypt; other methods are only ever verified, by the node's libcrypt.
"""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class _Hash(Protocol):
        def update(self, data: bytes, /) -> None: ...
        def digest(self) -> bytes: ...

ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ROUNDS, MIN_ROUNDS, MAX_ROUNDS = 5000, 1000, 999_999_999
PATIENCE = 2_000_000
"""Rounds up to which a stored password is verified (seconds); one with more counts as another."""


def is_field(text: str) -> bool:
    """Whether *text* is meant for shadow as it stands: a hash (`$`), a lock (`!`) or nobody's password (`*`)."""
    return text[:1] in ("$", "!") or text == "*"


def field(given: str, stored: str) -> str:
    """What the password field becomes: *given* as it stands, or its hash; the *stored* one stays if it fits already (C7)."""
    if is_field(given):
        return given
    return stored if verify(given, stored) else hashed(given)


def hashed(password: str) -> str:
    """sha512-crypt with 5000 rounds and a fresh salt of 16 characters."""
    salt = "".join(ALPHABET[byte & 63] for byte in os.urandom(16))
    return f"$6${salt}${sha_crypt(_bytes(password), salt.encode(), ROUNDS, 512)}"


def verify(password: str, stored: str) -> bool:
    """Whether *stored* is a hash of *password*."""
    parts = stored.split("$")
    if parts[0] or len(parts) < 4:
        return False
    if parts[1] not in ("5", "6"):
        return _verify_by_library(_bytes(password), stored)
    rounds = ROUNDS
    if parts[2].startswith("rounds=") and parts[2][7:].isdecimal():
        rounds = min(max(int(parts.pop(2)[7:]), MIN_ROUNDS), MAX_ROUNDS)
    if len(parts) != 4 or rounds > PATIENCE:
        return False
    return sha_crypt(_bytes(password), _bytes(parts[2]), rounds, 512 if parts[1] == "6" else 256) == parts[3]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _method(bits: int) -> Callable[[bytes], _Hash]:
    """The hash function; the interpreter's own first, since OpenSSL's costs 3 ms."""
    for name in (f"_sha{bits}", "_sha2", "hashlib"):
        try:
            method: Callable[[bytes], _Hash] = getattr(__import__(name), f"sha{bits}")
        except ImportError:
            continue
        return method
    raise KairosError(f"this Python has no SHA-{bits}")


_METHODS = {bits: _method(bits) for bits in (256, 512)}
"""Found when this is imported: a stage in a chroot must not open the library of another system."""


def sha_crypt(key: bytes, salt: bytes, rounds: int, bits: int) -> str:
    """The last part of a `$5$` (256 bits) or `$6$` (512 bits) field; the salt counts up to 16 bytes."""
    new, salt = _METHODS[bits], salt[:16]
    first = _stretch(new(key + salt + key).digest(), len(key))
    mix = new(key + salt + first)
    alternate = new(key + salt + key).digest()
    count = len(key)
    while count:
        mix.update(alternate if count & 1 else key)
        count >>= 1
    digest = mix.digest()
    p = _stretch(new(key * len(key)).digest(), len(key))
    s = _stretch(new(salt * (16 + digest[0])).digest(), len(salt))
    for turn in range(rounds):
        odd = turn & 1
        digest = new((p if odd else digest) + (s if turn % 3 else b"") + (p if turn % 7 else b"") + (digest if odd else p)).digest()
    return _encode(digest, bits)


def _stretch(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _encode(digest: bytes, bits: int) -> str:
    """Three bytes to four characters, the bytes taken from the three thirds of the digest in turn."""
    third = bits // 24
    a, b, c = 0, third, 2 * third
    text = ""
    for _ in range(third):
        text += _characters(digest[a], digest[b], digest[c], 4)
        a, b, c = (b + 1, c + 1, a + 1) if bits == 512 else (c + 1, a + 1, b + 1)
    return text + (_characters(0, 0, digest[63], 2) if bits == 512 else _characters(0, digest[31], digest[30], 3))


def _characters(high: int, middle: int, low: int, count: int) -> str:
    value = high << 16 | middle << 8 | low
    return "".join(ALPHABET[value >> 6 * place & 63] for place in range(count))


def _verify_by_library(password: bytes, stored: str) -> bool:
    import ctypes

    try:
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
    except OSError:
        return False
    crypt.restype, crypt.argtypes = ctypes.c_char_p, (ctypes.c_char_p, ctypes.c_char_p)
    result: bytes | None = crypt(password, _bytes(stored))
    return result is not None and not result.startswith(b"*") and result == _bytes(stored)
