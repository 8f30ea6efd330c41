"""sprig: randomness, all of it from the system's generator."""

from __future__ import annotations

import os

from kairos_boot.template import limits
from kairos_boot.template.values import Failure

_LOWER = "abcdefghijklmnopqrstuvwxyz"
_ALPHA = _LOWER.upper() + _LOWER
_DIGITS = "0123456789"
_ASCII = "".join(map(chr, range(32, 127)))


def below(bound: int) -> int:
    """A number from 0 to *bound* - 1, each as likely."""
    size = (bound.bit_length() + 7) // 8 or 1
    limit = (256**size // bound) * bound
    while True:
        number = int.from_bytes(os.urandom(size), "big")
        if number < limit:
            return number % bound


def word(count: int, letters: str) -> str:
    limits.list_fits(count)
    return "".join(letters[below(len(letters))] for _ in range(count))


def rand_bytes(count: int) -> str:
    """*count* random bytes in base64."""
    from base64 import b64encode

    if count < 0:
        raise Failure(f"cannot make {count} bytes")
    limits.text_fits(count * 2)
    return b64encode(os.urandom(count)).decode()


def rand_int(start: int, end: int) -> int:
    if end <= start:
        raise Failure(f"no number lies between {start} and {end}")
    return start + below(end - start)


def shuffle(text: str) -> str:
    limits.list_fits(len(text))
    letters = list(text)
    for place in range(len(letters) - 1, 0, -1):
        other = below(place + 1)
        letters[place], letters[other] = letters[other], letters[place]
    return "".join(letters)


def uuid4() -> str:
    data = bytearray(os.urandom(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


FUNCTIONS = {
    "shuffle": ("s", shuffle), "randAlphaNum": ("i", lambda n: word(n, _ALPHA + _DIGITS)), "randAlpha": ("i", lambda n: word(n, _ALPHA)),
    "randAscii": ("i", lambda n: word(n, _ASCII)), "randNumeric": ("i", lambda n: word(n, _DIGITS)), "randBytes": ("i", rand_bytes),
    "randInt": ("ii", rand_int), "uuidv4": ("", uuid4),
}  # fmt: skip
