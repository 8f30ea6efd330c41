"""Password fields of shadow, made and verified by the node's libcrypt, the library that logins ask, too."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Crypt = Callable[[bytes, bytes], bytes | None]

ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2", None)
"""Where crypt_r(3) is: in a library of its own, or in a C library such as musl's."""
STATE = 1 << 18
"""Bytes for the work space of crypt_r(3), more than any libcrypt asks for."""
ROUNDS, COST = 2_000_000, 14
"""Up to so many rounds of SHA-crypt, or this cost of bcrypt, a stored password is verified (seconds); one with more counts as another."""

_loaded: list[Crypt | None] = []


def is_field(text: str) -> bool:
    """Whether *text* is meant for shadow as it stands: a hash (`$`), a lock (`!`) or nobody's password (`*`)."""
    return text[:1] in ("$", "!") or text == "*"


def field(given: str, stored: str) -> str:
    """What the password field becomes: *given* as it stands, or its hash; the *stored* one stays if it fits already (C7)."""
    return given if is_field(given) else plain(given, stored)


def plain(password: str, stored: str) -> str:
    """What the field becomes for a *password* that is plain text whatever it begins with (B12); the *stored* one stays if it fits."""
    return stored if verify(password, stored) else hashed(password)


def hashed(password: str) -> str:
    """SHA-512-crypt, which every libcrypt knows, with a fresh salt. KairosError: there is no libcrypt, or the password is too long."""
    crypt = library()
    if crypt is None:
        raise KairosError("no libcrypt to hash the password with", hint="give its hash, as `openssl passwd -6` prints it")
    salt = "".join(ALPHABET[byte & 63] for byte in os.urandom(16))
    result = crypt(_bytes(password), f"$6${salt}".encode())
    if result is None or not result.startswith(b"$6$"):
        raise KairosError("the password cannot be hashed", hint="it must have less than 512 bytes and no NUL character")
    return result.decode("ascii")


def verify(password: str, stored: str) -> bool:
    """Whether *stored* is a hash of *password*."""
    if not stored.startswith("$") or not _is_cheap(stored):
        return False
    crypt = library()
    result = crypt(_bytes(password), _bytes(stored)) if crypt else None
    return result is not None and not result.startswith(b"*") and result == _bytes(stored)


def library() -> Crypt | None:
    """crypt_r(3), None where there is none. What runs in a chroot asks before it goes there: it must not load the library of another system."""
    if not _loaded:
        _loaded.append(_load())
    return _loaded[0]


def _load() -> Crypt | None:
    import ctypes

    for name in LIBRARIES:
        try:
            function = ctypes.CDLL(name).crypt_r
        except (OSError, AttributeError):
            continue
        function.restype, function.argtypes = ctypes.c_char_p, (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p)
        return lambda key, setting: None if b"\0" in key else function(key, setting, ctypes.create_string_buffer(STATE))
    return None


def _is_cheap(stored: str) -> bool:
    """Whether verifying takes no longer than a boot can wait."""
    parts = stored.split("$")
    if len(parts) < 4:
        return False
    if parts[1] in ("5", "6") and parts[2].startswith("rounds="):
        rounds = parts[2][7:]
        return rounds.isdecimal() and len(rounds) < 10 and int(rounds) <= ROUNDS
    return not parts[1].startswith("2") or (parts[2].isdecimal() and int(parts[2]) <= COST)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
