"""The sprig functions for check sums and encodings, as sprig 3.3 has them."""

from __future__ import annotations

import pytest

from kairos_boot.template import render

PRINTS = [
    ('{{ sha1sum "a" }}', "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ('{{ sha256sum "a" }}', "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
    ('{{ adler32sum "hello" }}', "103547413"),
    ('{{ sha512sum "a" | trunc 8 }}', "1f40fc92"),
    ('{{ b64enc "hé" }}', "aMOp"),
    ('{{ b64dec "aMOp" }}', "hé"),
    ('{{ b32enc "hi" }}', "NBUQ===="),
    ('{{ b32dec "NBUQ====" }}', "hi"),
    ('{{ b64dec "a" }}', "illegal base64 data at input byte 0"),
    ('{{ b64dec "aGk" }}', "illegal base64 data at input byte 0"),
    ('{{ b64dec "a*k=" }}', "illegal base64 data at input byte 1"),
    ('{{ b64dec "aGk=x" }}', "illegal base64 data at input byte 4"),
    ('{{ b64dec "aGk\\n=" }}', "hi"),
    ('{{ b64dec "" }}', ""),
    ('{{ b64dec "aGk==" }}', "illegal base64 data at input byte 4"),
    ('{{ b64dec "aG=k" }}', "illegal base64 data at input byte 2"),
    ('{{ b64dec "aaaaa" }}', "illegal base64 data at input byte 4"),
    ('{{ b64dec "aaaaa===" }}', "illegal base64 data at input byte 5"),
    ('{{ b64dec "aaaaaa=" }}', "illegal base64 data at input byte 7"),
    ('{{ b32dec "x" }}', "illegal base32 data at input byte 0"),
    ('{{ b32dec "NBUQ" }}', "illegal base32 data at input byte 0"),
    ('{{ b64dec "aG==x" }}', "illegal base64 data at input byte 4"),
    ('{{ b64dec "a===" }}', "illegal base64 data at input byte 1"),
    ('{{ b64dec "aG=" }}', "illegal base64 data at input byte 3"),
    ('{{ b64dec "====" }}', "illegal base64 data at input byte 0"),
    ('{{ b64dec "aGkaGk=" }}', "illegal base64 data at input byte 7"),
    ('{{ b64dec "aG\\nk=\\n" }}', "hi"),
    ('{{ b32dec "NB======" }}', "h"),
    ('{{ b32dec "N=======" }}', "illegal base32 data at input byte 1"),
    ('{{ b32dec "nbuq====" }}', "illegal base32 data at input byte 0"),
    ('{{ b32dec "NBUQ===" }}', "illegal base32 data at input byte 7"),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_hashes_as_go(text: str, printed: str) -> None:
    """Functions for check sums and encodings give what sprig gives."""
    assert render(text, {}) == printed
