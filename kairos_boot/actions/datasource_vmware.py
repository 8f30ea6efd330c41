"""VMware: guestinfo variables, read with the guest tools (docs/reference/datasource.md)."""

from __future__ import annotations

from kairos_boot.actions.datasource_found import LIMIT, AbsentError
from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.actions.datasource_found import Found, Session

VENDOR = "/sys/class/dmi/id/sys_vendor"
TOOLS = (("vmware-rpctool",), ("vmtoolsd", "--cmd"))
NOT_FOUND = 127
CUT = "bytes left out …]\n"
"""How the runner of programs marks an output that it did not keep whole."""
PACKED = ("gzip+base64", "gz+b64", "gz+base64", "gzip+b64")


def vmware(found: Found, session: Session) -> None:
    """Fill *found* from guestinfo. AbsentError: no virtual machine of VMware, no tool, nothing set."""
    if not (session.host.read(VENDOR) or b"").startswith(b"VMware"):
        raise AbsentError("not a virtual machine of VMware")
    tool = _tool(session)
    found.userdata = _value(tool, "userdata", session)
    metadata = _value(tool, "metadata", session)
    for name, content in (("metadata", metadata), ("vendordata", _value(tool, "vendordata", session))):
        if content:
            found.files[name] = content
    if not found.userdata and not found.files:
        raise AbsentError("guestinfo holds neither user data nor metadata")


def _tool(session: Session) -> tuple[str, ...]:
    """The program that answers. AbsentError: there is none."""
    for words in TOOLS:
        try:
            code = session.host.processes.run((*words, "info-get guestinfo.userdata"), timeout=session.limit()).code
        except KairosError:
            continue
        if code != NOT_FOUND:
            return words
    raise AbsentError("neither vmware-rpctool nor vmtoolsd is on the node")


def _get(tool: tuple[str, ...], name: str, session: Session) -> str:
    """A variable's text, nothing where it is not set."""
    result = session.host.processes.run((*tool, f"info-get guestinfo.{name}"), timeout=session.limit())
    if result.code or result.timed_out:
        return ""
    if CUT in result.output:
        raise KairosError(f"guestinfo.{name} is too long to be read", hint="pack it: gzip+base64")
    return result.output


def _value(tool: tuple[str, ...], name: str, session: Session) -> bytes:
    """A variable, decoded as its `.encoding` says; `---` stands for nothing. KairosError: it is not what that says."""
    text = _get(tool, name, session)
    if len(text.strip()) <= 1 or text.strip() == "---":
        return b""
    encoding = _get(tool, f"{name}.encoding", session).strip()
    if not encoding:
        return text.encode("utf-8", "surrogateescape")
    if encoding not in ("base64", "b64", *PACKED):
        raise KairosError(f"guestinfo.{name}.encoding is not known: {encoding!r}", hint="use base64 or gzip+base64")
    from binascii import a2b_base64

    try:
        raw = a2b_base64("".join(text.split()), strict_mode=True)
    except ValueError:
        raise KairosError(f"guestinfo.{name} is not base64") from None
    if encoding in PACKED:
        from kairos_boot.actions.datasource_userdata import unpack

        raw = unpack(raw, LIMIT)
    return raw
