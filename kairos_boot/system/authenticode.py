"""Signed EFI programs, read as firmware reads them: what their signature is of, who made it, and whether the firmware's lists (db, dbx) accept that.

The firmware's own judgement is the one that counts, at each start. This one comes before, so that nothing takes the place of what boots that would not.
"""

from __future__ import annotations

import struct

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.system import der, efi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

MACHINES = {0x8664: "x86_64", 0xAA64: "aarch64"}
_SIGNED_DATA, _MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010702"), bytes.fromhex("2a864886f70d010904")
_CONTEXT = 0xA0
CHUNK = 1 << 20
DEPTH = 5
"""How long a chain of certificates may be."""
SMALL = 1 << 20
"""Bytes that a section may have which is read whole."""


@record
class Program:
    """An EFI program of *size* bytes. *ranges* (from, to) are what a signature is of, *table* where the signatures lie; *sections* name (offset, size)."""

    path: str
    machine: str
    size: int
    ranges: tuple[tuple[int, int], ...]
    table: tuple[int, int]
    sections: dict[str, tuple[int, int]]


def read(path: str) -> Program:
    """The program at *path*. KairosError: it is no EFI program, or cut off."""
    try:
        with open(path, "rb") as file:
            return _program(file, path)
    except (OSError, struct.error, IndexError) as error:
        raise KairosError(f"it is no EFI program: {reason(error) if isinstance(error, OSError) else 'it ends too early'}", path) from error


def _program(file: BinaryIO, path: str) -> Program:
    head = file.read(4096)
    size = file.seek(0, 2)
    [at] = struct.unpack_from("<I", head, 0x3C)
    if head[:2] != b"MZ" or head[at:at + 4] != b"PE\0\0":
        raise KairosError("it is no EFI program", path)
    machine, count, optional = struct.unpack_from("<HH12xH", head, at + 4)
    start = at + 24
    magic, = struct.unpack_from("<H", head, start)
    directory = start + (112 if magic == 0x20B else 96) + 4 * 8
    [headers] = struct.unpack_from("<I", head, start + 60)
    begin, length = struct.unpack_from("<II", head, directory)
    file.seek(start + optional)
    raw = file.read(40 * count)
    sections, parts = {}, []
    for number in range(count):
        name, virtual, _, stored, offset = struct.unpack_from("<8sIIII", raw, 40 * number)
        if offset + stored > size:
            raise KairosError("it is cut off: one of its parts ends behind its end", path)
        sections[name.rstrip(b"\0").decode("ascii", "replace")] = (offset, min(virtual, stored))
        if stored:
            parts.append((offset, offset + stored))
    if begin + length > size or (length and begin < headers):
        raise KairosError("it is cut off: its signature ends behind its end", path)
    ranges = [(0, start + 64), (start + 68, directory), (directory + 8, headers), *sorted(parts)]
    hashed = headers + sum(end - begin for begin, end in parts)
    if size - length > hashed:
        ranges.append((hashed, size - length))
    return Program(path, MACHINES.get(machine, hex(machine)), size, tuple(ranges), (begin, length), sections)


def section(program: Program, name: str) -> bytes:
    """The content of a small section, such as `.cmdline`; nothing where there is none."""
    offset, size = program.sections.get(name, (0, 0))
    with open(program.path, "rb") as file:
        file.seek(offset)
        return file.read(min(size, SMALL))


def digest(program: Program, algorithm: str) -> bytes:
    """The hash that a signature is of: all but the signatures and the fields that name them. OSError."""
    import hashlib

    summed = hashlib.new(algorithm)
    with open(program.path, "rb") as file:
        for start, end in program.ranges:
            file.seek(start)
            left = end - start
            while left > 0:
                data = file.read(min(CHUNK, left))
                if not data:
                    raise KairosError("it became shorter while it was read", program.path)
                summed.update(data)
                left -= len(data)
    return summed.digest()


def must_be_accepted(program: Program, directory: str) -> None:
    """KairosError: the firmware, whose variables are below *directory*, would not start *program* with Secure Boot on."""
    allowed, denied = efi.signatures("db", directory), efi.signatures("dbx", directory)
    own = digest(program, "sha256")
    if (efi.SHA256, own) in denied:
        raise KairosError("the firmware's list dbx forbids this very program", program.path, "take a newer one")
    if (efi.SHA256, own) in allowed:
        return
    blobs = _signatures(program)
    if not blobs:
        raise KairosError("it is not signed, and the firmware starts signed programs only (Secure Boot)", program.path, "sign it with a key whose certificate is in the firmware's list db")
    faults = []
    for blob in blobs:
        try:
            _must_be_accepted(program, blob, allowed, denied)
        except (KairosError, ValueError, IndexError) as error:
            faults.append(error.message if isinstance(error, KairosError) else "a signature is damaged")
        else:
            return
    raise KairosError("; ".join(dict.fromkeys(faults)), program.path, "sign it with a key whose certificate is in the firmware's list db")


def _signatures(program: Program) -> list[bytes]:
    at, size = program.table
    found = []
    with open(program.path, "rb") as file:
        file.seek(at)
        table = file.read(min(size, SMALL))
    at = 0
    while at + 8 <= len(table):
        length, _, kind = struct.unpack_from("<IHH", table, at)
        if length < 8:
            break
        if kind == 2:  # PKCS #7
            found.append(table[at + 8:at + length])
        at += -(-length // 8) * 8
    return found


def _must_be_accepted(program: Program, blob: bytes, allowed: list[tuple[str, bytes]], denied: list[tuple[str, bytes]]) -> None:
    kind, inner = der.values(der.only(blob, der.SEQUENCE).content)[:2]
    if kind.content != _SIGNED_DATA:
        raise KairosError("a signature is not of the form that it should have")
    fields = der.values(der.only(inner.content, der.SEQUENCE).content)
    signed = der.only(der.values(fields[2].content)[1].content, der.SEQUENCE)
    algorithm, wanted = der.values(der.values(signed.content)[1].content)[:2]
    hashed = der.HASHES.get(der.only(algorithm.content, der.OID).content, "")
    if not hashed or digest(program, hashed) != wanted.content:
        raise KairosError("it was altered after it was signed")
    certificates = [der.certificate(value.whole) for field in fields[3:] if field.tag == _CONTEXT for value in der.values(field.content)]
    signers = der.values(fields[-1].content)
    if not signers:
        raise KairosError("a signature has nobody who made it")
    for signer in signers:
        _must_be_good(_maker(signer, signed, certificates), certificates, allowed, denied)


def _maker(signer: der.Value, signed: der.Value, certificates: list[der.Certificate]) -> der.Certificate:
    """Who made the signature *signer*. KairosError: it is not the one of *signed*."""
    import hashlib

    _, name, algorithm, attributes, _, signature = der.values(signer.content)[:6]
    issuer, serial = der.values(name.content)[:2]
    maker = next((c for c in certificates if c.issuer == issuer.whole and c.serial == serial.content), None)
    if maker is None:
        raise KairosError("a signature comes without the certificate of who made it")
    hashed = der.HASHES.get(der.only(algorithm.content, der.OID).content, "")
    told = next((der.values(pair[1].content)[0].content for value in der.values(attributes.content) if (pair := der.values(value.content))[0].content == _MESSAGE_DIGEST), b"")
    if attributes.tag != _CONTEXT or not hashed or told != hashlib.new(hashed, signed.content).digest():
        raise KairosError("a signature is not that of the program")
    if not der.is_signed_by(bytes([der.SET]) + attributes.whole[1:], signature.content, hashed, maker):
        raise KairosError("a signature is false")
    return maker


def _must_be_good(maker: der.Certificate, certificates: list[der.Certificate], allowed: list[tuple[str, bytes]], denied: list[tuple[str, bytes]]) -> None:
    """KairosError: no chain leads from *maker* to a certificate that is allowed, or it is denied."""
    import hashlib

    trusted = [der.certificate(data) for kind, data in allowed if kind == efi.X509]
    known, chain = {c.whole for c in trusted}, [maker]
    while True:
        last = chain[-1]
        if (efi.X509, last.whole) in denied or (efi.X509_SHA256, hashlib.sha256(last.signed).digest()) in [(kind, data[:32]) for kind, data in denied]:
            raise KairosError("the firmware's list dbx forbids the key that signed it")
        if last.whole in known:
            return
        above = next((c for c in (*trusted, *certificates) if c.subject == last.issuer and c not in chain and der.is_signed_by(last.signed, last.signature, last.algorithm, c)), None)
        if above is None or len(chain) >= DEPTH:
            raise KairosError("it is signed by a key that the firmware's list db does not know")
        chain.append(above)
