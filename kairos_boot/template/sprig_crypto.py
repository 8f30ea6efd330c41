"""sprig: password hashes, derived passwords, texts encrypted with a password."""

from __future__ import annotations

import os

from kairos_boot.template import limits
from kairos_boot.template.aes import BLOCK, Cipher
from kairos_boot.template.values import Failure, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.template.functions import Function

_COST = 400_000
"""What a slow hash counts, in units of work: a template can make ten."""
_LONGEST = 64 << 10
_SALT = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SCOPE = b"com.lyndir.masterpassword"
_SHAPES = {
    "maximum": "anoxxxxxxxxxxxxxxxxx axxxxxxxxxxxxxxxxxno",
    "long": "CvcvnoCvcvCvcv CvcvCvcvnoCvcv CvcvCvcvCvcvno CvccnoCvcvCvcv CvccCvcvnoCvcv CvccCvcvCvcvno CvcvnoCvccCvcv CvcvCvccnoCvcv"
    " CvcvCvccCvcvno CvcvnoCvcvCvcc CvcvCvcvnoCvcc CvcvCvcvCvccno CvccnoCvccCvcv CvccCvccnoCvcv CvccCvccCvcvno CvcvnoCvccCvcc"
    " CvcvCvccnoCvcc CvcvCvccCvccno CvccnoCvcvCvcc CvccCvcvnoCvcc CvccCvcvCvccno",
    "medium": "CvcnoCvc CvcCvcno", "short": "Cvcn", "basic": "aaanaaan aannaaan aaannaaa", "pin": "nnnn",
}  # fmt: skip
"""The shapes of the Master Password algorithm, version 2: one letter for each class of characters below."""
_CLASSES = {
    "V": "AEIOU", "C": "BCDFGHJKLMNPQRSTVWXYZ", "v": "aeiou", "c": "bcdfghjklmnpqrstvwxyz", "A": "AEIOUBCDFGHJKLMNPQRSTVWXYZ",
    "a": "AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz", "n": "0123456789", "o": "@&%?,=[]_:-+*$#!'^~;()/.",
    "x": "AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
}  # fmt: skip


def bcrypt(password: str) -> str:
    """The bcrypt hash with a fresh salt and cost 10, made by the node's libcrypt."""
    import ctypes

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


def htpasswd(user: str, password: str) -> str:
    return f"invalid username: {user}" if ":" in user else f"{user}:{bcrypt(password)}"


def derive_password(counter: int, shape: str, password: str, user: str, site: str) -> str:
    """The password for *site* that the Master Password algorithm derives from *password* and *user*."""
    import hashlib
    import hmac

    if shape not in _SHAPES:
        return f"cannot find password template {shape}"
    if counter >= 1 << 32:
        raise Failure(f"{counter} overflows uint32")
    limits.work(_COST)
    name, place = encode(user), encode(site)
    salt = _SCOPE + len(name).to_bytes(4, "big") + name
    key = hashlib.scrypt(encode(password), salt=salt, n=32768, r=8, p=2, maxmem=80 << 20, dklen=64)
    seed = hmac.new(key, _SCOPE + len(place).to_bytes(4, "big") + place + counter.to_bytes(4, "big"), "sha256").digest()
    shapes = _SHAPES[shape].split()
    return "".join(_CLASSES[kind][byte % len(_CLASSES[kind])] for kind, byte in zip(shapes[seed[0] % len(shapes)], seed[1:], strict=False))


def _key(password: str) -> bytes:
    return encode(password)[:32].ljust(32, b"\0")


def _bounded(length: int) -> None:
    limits.work(10_000 + 20 * length)
    if length > _LONGEST:
        raise Failure(f"the text is {length} bytes long", f"at most {_LONGEST} can be encrypted")


def encrypt(password: str, text: str) -> str:
    """AES-256-CBC in base64: a random first block, then the text, padded as in PKCS 7."""
    from base64 import b64encode

    data = encode(text)
    if not data:
        return ""
    _bounded(len(data))
    padding = BLOCK - len(data) % BLOCK
    start = os.urandom(BLOCK)
    return b64encode(start + Cipher(_key(password)).encrypt_chain(start, data + bytes([padding]) * padding)).decode()


def decrypt(password: str, text: str) -> str:
    """What `encryptAES` encrypted; a wrong password gives nonsense, or an error if that shows."""
    from base64 import b64decode

    if not text:
        return ""
    _bounded(len(text))
    try:
        data = b64decode(encode(text), validate=True)
    except ValueError:
        raise Failure("illegal base64 data") from None
    if len(data) < 2 * BLOCK or len(data) % BLOCK:
        raise Failure(f"the encrypted data is {len(data)} bytes long", f"it is made of blocks of {BLOCK} bytes, two at least")
    plain = Cipher(_key(password)).decrypt_chain(data[:BLOCK], data[BLOCK:])
    if plain[-1] > len(plain):
        raise Failure("the password does not fit the encrypted data")
    return decode(plain[: len(plain) - plain[-1]])


FUNCTIONS: dict[str, Function] = {
    "bcrypt": ("s", bcrypt), "htpasswd": ("ss", htpasswd), "derivePassword": ("ussss", derive_password), "encryptAES": ("ss", encrypt),
    "decryptAES": ("ss", decrypt),
}  # fmt: skip
