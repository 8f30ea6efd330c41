"""The text of a cloud-config to a Document: what is asked of this package (docs/reference/document.md).

`native` reads documents of stages, `cloudinit` those that begin with the line #cloud-config.
"""

from __future__ import annotations

from kairos_boot.cloudconfig.compose import compose
from kairos_boot.cloudconfig.model import Document, Problem
from kairos_boot.cloudconfig.nodes import YamlSyntaxError
from kairos_boot.records import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.nodes import YamlNode

HEADER = b"#cloud-config"


def decode(data: bytes, source: str) -> Document:
    """The document in *data*, called *source* in messages and, unless it has a `name`, in the names of its steps.

    Never raises for what a text can hold: a document that cannot be read is `broken`, its problems say where and why.
    """
    rest: list[tuple[int, int]] = []
    try:
        root = compose(data, rest)
    except YamlSyntaxError as fault:
        return Document(source, problems=(Problem("error", f"{source}:{fault.line}:{fault.column}", fault.message, fault.hint),), broken=True)
    try:
        document = _decode(root, source, data)
    except RecursionError:
        return Document(source, problems=(Problem("error", source, "it is nested too deeply", "write the values out"),), broken=True)
    if not rest:
        return document
    second = Problem("warning", f"{source}:{rest[0][0]}:{rest[0][1]}", "only the first YAML document of a file is read", "put this one into a file of its own")
    told: Document = replace(document, problems=(*document.problems, second))
    return told


def _decode(root: YamlNode | None, source: str, data: bytes) -> Document:
    if has_header(data):
        from kairos_boot.cloudconfig.cloudinit import decode as decode_classic

        return decode_classic(root, source, data)
    from kairos_boot.cloudconfig.native import decode_root

    return decode_root(root, source)


def has_header(data: bytes) -> bool:
    """Whether the text is a #cloud-config document: only comments and blank lines may stand before that line."""
    for line in _head(data).split(b"\n", 9):
        words = line.rstrip()
        if words == HEADER:
            return True
        if words and not words.startswith(b"#"):
            return False
    return False


def _head(data: bytes) -> bytes:
    """The beginning of the text without a byte order mark, which editors of Windows write; of UTF-16 as UTF-8."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data[:8192].decode("utf-16", "ignore").encode()
    return data.removeprefix(b"\xef\xbb\xbf")
