"""The sprig functions for password hashes, derived passwords and encrypted texts."""

from __future__ import annotations

import ctypes
import ctypes.util

import pytest

from kairos_boot.template import TemplateError, render
from kairos_boot.template.aes import Cipher

PRINTS = [
    ('{{ derivePassword 1 "maximum" "password" "user" "example.com" }}', "pf4zS1LjCg&LjhsZ7T2~"),
    ('{{ derivePassword 1 "long" "password" "user" "example.com" }}', "ZedaFaxcZaso9*"),
    ('{{ derivePassword 1 "medium" "password" "user" "example.com" }}', "ZedJuz8$"),
    ('{{ derivePassword 1 "short" "password" "user" "example.com" }}', "Zed5"),
    ('{{ derivePassword 1 "basic" "password" "user" "example.com" }}', "pIS54PLs"),
    ('{{ derivePassword 1 "pin" "password" "user" "example.com" }}', "6685"),
    ('{{ derivePassword 7 "long" "pä" "ü" "s" }}', "Vitt8/PebeDohp"),
    ('{{ derivePassword 1 "foo" "a" "b" "c" }}', "cannot find password template foo"),
    ('{{ decryptAES "key" "4Ld5rhJNN2dOEP5xF4L5KN4kRMVr8+Wrdz75bjWZUpIrZWFI6S05TGj4OdovR8EE" }}', "a fixed text, two blocks"),
    ('{{ encryptAES "k" "é 0123456789abcdef" | decryptAES "k" }}', "é 0123456789abcdef"),
    ('{{ encryptAES "k" "" }}|{{ decryptAES "k" "" }}|{{ htpasswd "a:b" "c" }}', "||invalid username: a:b"),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_crypto_as_go(text: str, printed: str) -> None:
    """Derived passwords and encrypted texts are those of sprig."""
    assert render(text, {}) == printed


def test_cipher_is_aes() -> None:
    """The example vector of FIPS 197, appendix C.3."""
    cipher = Cipher(bytes(range(32)))
    plain = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert cipher.encrypt(plain).hex() == "8ea2b7ca516745bfeafc49904b496089"
    assert cipher.decrypt(cipher.encrypt(plain)) == plain


@pytest.mark.parametrize("text", ["!", "aGk=", "MDEyMzQ1Njc4OWFiY2RlZg==", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"])
def test_damaged_encrypted_text_is_refused(text: str) -> None:
    """No base64, too short, no whole blocks."""
    with pytest.raises(TemplateError, match="decryptAES"):
        render(f'{{{{ decryptAES "k" "{text}" }}}}', {})


@pytest.mark.skipif(not ctypes.util.find_library("crypt"), reason="this system has no libcrypt")
def test_bcrypt_hash_opens_with_its_password() -> None:
    """Cost 10, a salt of its own each time, and libcrypt takes the password for it."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype, crypt.argtypes = ctypes.c_char_p, (ctypes.c_char_p, ctypes.c_char_p)
    first, second = (render('{{ htpasswd "user" "secret" }}', {}).removeprefix("user:").encode() for _ in range(2))
    assert first.startswith(b"$2a$10$")
    assert first != second
    assert crypt(b"secret", first) == first
    assert crypt(b"other", first) != first


def test_slow_hashes_cannot_hold_up_a_boot() -> None:
    """A loop of them ends in an error after a few."""
    with pytest.raises(TemplateError, match="does not come to an end"):
        render('{{ range until 1000 }}{{ derivePassword 1 "pin" "a" "b" "c" }}{{ end }}', {})
