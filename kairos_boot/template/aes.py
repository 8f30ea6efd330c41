"""AES with keys of 256 bits in CBC mode (FIPS 197, SP 800-38A). For the few bytes of a template: it is slow, and not constant in time."""

from __future__ import annotations

BLOCK = 16
_ROUNDS = 14


def _double(byte: int) -> int:
    """Twice *byte* in the field of AES."""
    return ((byte << 1) ^ 0x11B if byte & 0x80 else byte << 1) & 0xFF


def _tables() -> tuple[bytes, bytes]:
    """The substitution and its inverse, made of inverses in the field and the affine map."""
    powers, byte = [], 1
    for _ in range(255):
        powers.append(byte)
        byte ^= _double(byte)
    forward = bytearray(256)
    for value in range(256):
        inverse = powers[-powers.index(value) % 255] if value else 0
        spread = inverse
        for _ in range(4):
            inverse = (inverse << 1 | inverse >> 7) & 0xFF
            spread ^= inverse
        forward[value] = spread ^ 0x63
    backward = bytearray(256)
    for value, substitute in enumerate(forward):
        backward[substitute] = value
    return bytes(forward), bytes(backward)


class Cipher:
    """AES-256 with one key of 32 bytes."""

    __slots__ = ("backward", "forward", "keys")

    def __init__(self, key: bytes) -> None:
        self.forward, self.backward = _tables()
        words = [key[i : i + 4] for i in range(0, 32, 4)]
        constant = 1
        while len(words) < 4 * (_ROUNDS + 1):
            word = words[-1]
            if len(words) % 8 == 0:
                word = (word[1:] + word[:1]).translate(self.forward)
                word = bytes([word[0] ^ constant]) + word[1:]
                constant = _double(constant)
            elif len(words) % 8 == 4:
                word = word.translate(self.forward)
            words.append(_xor(words[-8], word))
        self.keys = [b"".join(words[i : i + 4]) for i in range(0, len(words), 4)]

    def encrypt(self, block: bytes) -> bytes:
        """One block."""
        state = _xor(block, self.keys[0])
        for number in range(1, _ROUNDS + 1):
            state = state.translate(self.forward)
            state = bytes(state[(i + 4 * (i % 4)) % BLOCK] for i in range(BLOCK))
            state = _xor(state if number == _ROUNDS else _mix(state), self.keys[number])
        return state

    def decrypt(self, block: bytes) -> bytes:
        """One block, the other way round."""
        state = block
        for number in range(_ROUNDS, 0, -1):
            state = _xor(state, self.keys[number])
            if number < _ROUNDS:
                state = _mix(_mix(_mix(state)))
            state = bytes(state[(i - 4 * (i % 4)) % BLOCK] for i in range(BLOCK)).translate(self.backward)
        return _xor(state, self.keys[0])

    def encrypt_chain(self, start: bytes, data: bytes) -> bytes:
        """*data*, of whole blocks, each mixed with the result of the one before."""
        out = [start]
        for place in range(0, len(data), BLOCK):
            out.append(self.encrypt(_xor(data[place : place + BLOCK], out[-1])))
        return b"".join(out[1:])

    def decrypt_chain(self, start: bytes, data: bytes) -> bytes:
        """The data that `encrypt_chain` made *data* of."""
        from itertools import pairwise

        blocks = [start] + [data[place : place + BLOCK] for place in range(0, len(data), BLOCK)]
        return b"".join(_xor(self.decrypt(block), before) for before, block in pairwise(blocks))


def _xor(one: bytes, two: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, two, strict=True))


def _mix(state: bytes) -> bytes:
    """Each column multiplied by the polynomial of AES; three times in a row is its inverse."""
    out = []
    for place in range(0, BLOCK, 4):
        column = state[place : place + 4]
        every = column[0] ^ column[1] ^ column[2] ^ column[3]
        out += [byte ^ every ^ _double(byte ^ column[(i + 1) % 4]) for i, byte in enumerate(column)]
    return bytes(out)
