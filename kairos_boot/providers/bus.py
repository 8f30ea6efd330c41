"""The plugin bus: executables `agent-provider-*` are told of events, and answer (names, places and the form of the calls are Kairos').

`EXECUTABLE EVENT` gets `{"name": EVENT, "data": TEXT, "file": PATH}` on its standard input, where TEXT is JSON in a text, in the file if it is long, and
prints `{"state": …, "data": …, "error": …, "log": …}`. What is ours: a provider is trusted as root's own programs are, by who can write it; one that
fails, hangs or answers nonsense is an error with its own words, and never the end of anybody else (C12).
"""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import record
from kairos_boot.shown import one_line
from kairos_boot.system.descriptors import Held, write_all
from kairos_boot.system.trusted import resolved, untrusted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kairos_boot.system.host import Host

PREFIX = "agent-provider-"
DIRECTORIES = ("/system/providers", "/usr/local/system/providers")
EVENTS = ("agent.boot", "agent.bootstrap", "agent.install", "agent.install.challenge", "agent.interactive-install", "agent.recovery", "agent.recovery.stop",
          "agent.available_releases", "agent.version_image", "agent.reset.before", "agent.reset.after", "init.provider.install", "init.provider.configure", "init.provider.info")
INLINE = 8192
"""Bytes of data that go into the call itself; more goes into a file."""
LIMIT = 8 << 20
"""Bytes that an answer may have."""
SECONDS = 600.0
"""For an event that something waits for."""


@record
class Answer:
    """What the provider *name* said; *error* is empty where it did its part."""

    name: str
    state: str = ""
    data: str = ""
    error: str = ""
    log: str = ""


def search_path(text: str) -> list[str]:
    """The directories in which providers are looked for: those of the node, then those of the PATH *text*, never the working directory."""
    return list(dict.fromkeys([*DIRECTORIES, *(entry.rstrip("/") for entry in text.split(":") if entry.startswith("/"))]))


def providers(host: Host, path: str) -> tuple[dict[str, str], list[str]]:
    """The executables by their names, the first of each name, and what is wrong with those that are not used. *path* is the PATH."""
    found: dict[str, str] = {}
    refused = []
    for directory in search_path(path):
        for name in _entries(host, directory):
            file = f"{directory}/{name}"
            why = untrusted(host, file)
            if why:
                refused.append(f"{file} is not used: {why}")
            elif name not in found:
                found[name] = resolved(host, file)  # what was looked at, wherever a link leads later
    return found, list(dict.fromkeys(refused))


def _entries(host: Host, directory: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(host.path(directory)) if name.startswith(PREFIX))
    except (OSError, KairosError):
        return []


def publish(host: Host, found: dict[str, str], event: str, data: object, *, seconds: float = SECONDS) -> Iterator[Answer]:
    """Tell all providers *found* of *event*, one after the other, and give their answers. *seconds* 0: as long as it takes."""
    import json

    text = json.dumps(data, ensure_ascii=False)
    for name, path in found.items():
        try:
            yield _call(host, name, path, event, text, seconds)
        except (KairosError, OSError, ValueError) as error:
            yield Answer(name, error=reason(error) if isinstance(error, OSError) else str(error))


def _call(host: Host, name: str, path: str, event: str, text: str, seconds: float) -> Answer:
    import json

    with Held(os.memfd_create("data")) as data:
        call = {"name": event, "data": text, "file": ""}
        encoded = text.encode("utf-8", "surrogateescape")
        if len(encoded) > INLINE:
            write_all(data, encoded)
            call |= {"data": "", "file": f"/proc/{os.getpid()}/fd/{data}"}
        result = host.processes.run((path, event), timeout=seconds, stdin=json.dumps(call).encode(), whole=LIMIT)
    words = one_line(result.errors.strip()[-500:])
    try:
        told = _object(json.loads(result.output or "{}"))
    except (ValueError, RecursionError) as error:
        why = f"{result.explain(seconds)}: {words}" if result.code else f"it answered with no JSON ({error})"
        raise KairosError(why) from None
    if result.code and not told.get("error"):
        told["error"] = f"{result.explain(seconds)}{': ' if words else ''}{words}"
    return Answer(name, *(_text(told.get(key)) for key in ("state", "data", "error", "log")))


def _object(told: object) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise ValueError("not an object")  # noqa: TRY004
    return told


def _text(value: object) -> str:
    import json

    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
