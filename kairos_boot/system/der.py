"""Signatures in DER: the few forms of ASN.1 that a signed EFI program is made of, and RSA (PKCS #1 v1.5) over them."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.records import record

INTEGER, BITS, OCTETS, OID, SEQUENCE, SET = 0x02, 0x03, 0x04, 0x06, 0x30, 0x31
HASHES = {bytes.fromhex("2b0e03021a"): "sha1", bytes.fromhex("608648016503040201"): "sha256", bytes.fromhex("608648016503040202"): "sha384",
          bytes.fromhex("608648016503040203"): "sha512"}
"""The identifier of a hash, and its name."""
_SIGNED = {bytes.fromhex("2a864886f70d0101") + bytes([number]): name for number, name in ((5, "sha1"), (11, "sha256"), (12, "sha384"), (13, "sha512"))}
"""The identifier of RSA with a hash, as certificates are signed."""
RSA = bytes.fromhex("2a864886f70d010101")


@record
class Value:
    """One value: its *tag*, its *content*, and *whole*, both with the length between."""

    tag: int
    content: bytes
    whole: bytes


@record
class Certificate:
    """What counts of a certificate. *whole* is its DER; *signed* is the part that *signature* is of, by the hash *algorithm*."""

    whole: bytes
    signed: bytes
    serial: bytes
    issuer: bytes
    subject: bytes
    modulus: int
    exponent: int
    algorithm: str
    signature: bytes


def values(data: bytes) -> list[Value]:
    """The values that stand in *data* one behind the other. KairosError: it ends in the midst of one."""
    found, at = [], 0
    while at < len(data):
        start, tag = at, data[at]
        size, at = (data[at + 1], at + 2) if at + 1 < len(data) else (1, at + 2)
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at:at + count], "big"), at + count
        if at + size > len(data):
            raise KairosError("a signature ends in the midst of a value")
        found.append(Value(tag, data[at:at + size], data[start:at + size]))
        at += size
    return found


def only(data: bytes, tag: int) -> Value:
    """The first value in *data*, which is of that *tag*. KairosError: it is not."""
    found = values(data)
    if not found or found[0].tag != tag:
        raise KairosError("a signature is not of the form that it should have")
    return found[0]


def certificate(data: bytes) -> Certificate:
    """The certificate in DER. KairosError: it is none, or one without a key for RSA."""
    signed, algorithm, signature = values(only(data, SEQUENCE).content)[:3]
    fields = values(signed.content)
    fields = fields if fields[0].tag == INTEGER else fields[1:]  # the version comes first, where it is told
    serial, _, issuer, _, subject, key = fields[:6]
    kind, bits = values(key.content)[:2]
    if only(kind.content, OID).content != RSA:
        raise KairosError("a certificate has a key that is not one for RSA")
    modulus, exponent = values(only(bits.content[1:], SEQUENCE).content)[:2]
    return Certificate(data, signed.whole, serial.content, issuer.whole, subject.whole, int.from_bytes(modulus.content, "big"),
                       int.from_bytes(exponent.content, "big"), _SIGNED.get(only(algorithm.content, OID).content, ""), signature.content[1:])


def is_signed_by(data: bytes, signature: bytes, algorithm: str, signer: Certificate) -> bool:
    """Whether *signature* is that of *data*, hashed by *algorithm*, by the key in the certificate *signer*."""
    import hashlib

    identifier = next((number for number, name in HASHES.items() if name == algorithm), b"")
    size = (signer.modulus.bit_length() + 7) // 8
    if not identifier or size < 128 or len(signature) != size:
        return False
    digest = hashlib.new(algorithm, data).digest()
    inner = bytes([OID, len(identifier)]) + identifier + b"\5\0"
    inner = bytes([SEQUENCE, len(inner)]) + inner + bytes([OCTETS, len(digest)]) + digest
    inner = bytes([SEQUENCE, len(inner)]) + inner
    wanted = b"\0\1" + b"\xff" * (size - len(inner) - 3) + b"\0" + inner
    return pow(int.from_bytes(signature, "big"), signer.exponent, signer.modulus).to_bytes(size, "big") == wanted
