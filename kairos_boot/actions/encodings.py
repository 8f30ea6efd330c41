"""The encodings in which a document holds the content of a file (docs/reference/files.md)."""

from __future__ import annotations


def decode(content: str, encoding: str) -> bytes:
    """The bytes of *content*. Any unknown encoding is plain text. ValueError: it is not what the encoding says."""
    raw = content.encode("utf-8", "surrogateescape")
    if encoding in ("b64", "base64", "gz+base64", "gzip+base64", "gz+b64", "gzip+b64"):
        from binascii import a2b_base64

        raw = a2b_base64(raw.replace(b"\n", b"").replace(b"\r", b""), strict_mode=True)
    if encoding in ("gz", "gzip", "gz+base64", "gzip+base64", "gz+b64", "gzip+b64"):
        from kairos_boot.gunzip import gunzip

        raw = gunzip(raw)
    return raw
