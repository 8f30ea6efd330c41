"""What the kernel command line says of documents: dot notation of its own, and the address of one."""

from __future__ import annotations

from kairos_boot.cloudconfig.model import Document, Problem
from kairos_boot.errors import KairosError
from kairos_boot.loading.sources import STDIN, guarded
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

CMDLINE = "/proc/cmdline"


def load_cmdline(text: str, *, strict: bool = False) -> list[Document]:
    """What the kernel command line configures in dot notation: one document, none if it configures nothing.

    A malformed word is a warning, since other programs own words there, too; *strict* makes it an error (B3).
    """
    from kairos_boot.cloudconfig.dotnotation import LEFT_OUT, decode

    document = guarded(lambda: decode(text, CMDLINE, name=STDIN), CMDLINE)
    if strict and not document.broken:
        problems = tuple([Problem("error", p.where, p.message, p.hint) if p.message.startswith(LEFT_OUT) else p for p in document.problems])
        document = Document(document.source, document.name, document.stages, problems, document.jobs, reconcile=document.reconcile)
    return [document] if document.stages or document.problems else []


def config_uri(text: str, values: Callable[[], Mapping[str, object]]) -> tuple[str, list[Problem]]:
    """The configuration's URI on the kernel command line, if there is one, with its template expanded; and what is wrong with it.

    `kairos.config_url=URI` and `cos.setup=URI` count, the last of them. Of *values* every text is URL-escaped; a value
    that does not exist is an error, and then there is no URI (immucore's words).
    """
    from kairos_boot.cloudconfig.dotnotation import words

    uri = ""
    for word, _ in words(text):
        key, _, value = word.partition("=")
        if key == "kairos.config_url" or (key == "cos.setup" and ("=" not in value or value.startswith(("/", "http://", "https://")))):
            uri = value or uri
    if "{{" not in uri:
        return uri, []
    try:
        return render_uri(uri, values), []
    except KairosError as error:
        return "", [Problem("error", f"{CMDLINE}: {shown(uri)}", error.message, error.hint or "the URI was left out")]


def render_uri(uri: str, values: Callable[[], Mapping[str, object]]) -> str:
    """An address with its template expanded, every text of *values* URL-escaped. KairosError: a value that does not exist, a template that fails."""
    from kairos_boot.template import render

    return render(uri, {"Values": _escaped(values())}, strict=True, functions={"required": _required})


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        from urllib.parse import quote_plus

        return quote_plus(value)
    if isinstance(value, (list, tuple)):
        return [_escaped(item) for item in value]
    return {k: _escaped(v) for k, v in value.items()} if hasattr(value, "items") else value


def _required(message: object, value: object) -> object:
    """Helm's function: fail with *message* unless there is a value."""
    if value is None or value == "":
        raise KairosError(str(message))
    return value
