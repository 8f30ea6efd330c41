"""What user data is: packed or not, of several parts or one, a cloud-config or a script. Nothing here touches the node."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.records import record

CLOUD_CONFIG_LINE = b"#cloud-config"
CLOUD_CONFIG, SCRIPT = "text/cloud-config", "text/x-shellscript"
MARK = b"\xef\xbb\xbf"
HEADERS = (b"content-type:", b"mime-version:", b"from ", b"from:")
"""How a message of several parts begins."""


@record
class UserData:
    """User data ready to be kept; *notes* say what of it is not used."""

    content: bytes
    notes: tuple[str, ...] = ()

    @property
    def is_script(self) -> bool:
        """Whether its first line names an interpreter."""
        return self.content.startswith(b"#!")

    @property
    def is_cloud_config(self) -> bool:
        """Whether one of its first lines is `#cloud-config`."""
        return any(line.rstrip() == CLOUD_CONFIG_LINE for line in self.content.split(b"\n", 9)[:9])

    def interpreter(self) -> tuple[str, ...]:
        """The program of that line, and its argument if there is one, as the kernel reads them."""
        words = self.content[2:].split(b"\n", 1)[0].decode("utf-8", "surrogateescape").strip().split(None, 1)
        return tuple(word.strip() for word in words) or ("/bin/sh",)


def read(raw: bytes, limit: int) -> UserData:
    """*raw* unpacked, and the part of it that counts. KairosError: it cannot be unpacked, or is larger than *limit* bytes."""
    content = unpack(raw, limit)
    if not content[:64].lstrip().lower().startswith(HEADERS):
        return UserData(_plain(content))
    return _parts(content, limit)


def _plain(content: bytes) -> bytes:
    """A script without the byte order mark and the Windows line ends of its editor, which the interpreter would read (B12)."""
    script = content.removeprefix(MARK)
    return script.replace(b"\r\n", b"\n") if script.startswith(b"#!") else content


def unpack(raw: bytes, limit: int) -> bytes:
    """Without gzip, where it is packed. KairosError: it is damaged or too large."""
    from kairos_boot.gunzip import MAGIC, gunzip

    if not raw.startswith(MAGIC):
        return raw
    try:
        return gunzip(raw, limit)
    except ValueError as error:
        raise KairosError(str(error)) from None


def _parts(content: bytes, limit: int) -> UserData:
    """The first cloud-config part, else the first script; every other part is named in a note."""
    from email import message_from_bytes

    message = message_from_bytes(content.lstrip())
    if message.get_content_maintype() != "multipart" and message.get_content_type() not in (CLOUD_CONFIG, SCRIPT):
        return UserData(content)
    parts = []
    for part in message.walk():
        payload = None if part.is_multipart() else part.get_payload(decode=True)
        if isinstance(payload, bytes):
            parts.append((part.get_content_type(), unpack(payload, limit), part.get_filename() or ""))
    kinds = [kind for kind, _, _ in parts]
    wanted = next((kind for kind in (CLOUD_CONFIG, SCRIPT) if kind in kinds), "")
    if not wanted:
        return UserData(content, (f"no part of it is {CLOUD_CONFIG} or {SCRIPT}",))
    chosen = kinds.index(wanted)
    notes = [f"a further part of it is not used: {kind} {name}".rstrip() for number, (kind, data, name) in enumerate(parts)
             if number != chosen and data.strip()]
    return UserData(_plain(parts[chosen][1]), tuple(notes))
