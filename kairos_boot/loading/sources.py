"""Sources of documents: directories, files, URLs, standard input, the kernel command line (A1, B1, B5).

Nothing here opens a file: a reader is handed in. A source or a file that cannot be loaded costs itself only; it becomes
a broken document that says why.
"""

from __future__ import annotations

import errno
import os
import stat

from kairos_boot.cloudconfig.model import Document, Problem
from kairos_boot.errors import KairosError
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence
    from typing import Any, Protocol

    from kairos_boot.loading.cache import Cache

    Stamp = tuple[int, int, int, int, int, int]
    """Mode, device, inode, size, time of change of the content and of the inode in nanoseconds."""

    class Reader(Protocol):
        """What the documents are read with. Paths are those of the node; links are followed inside its root."""

        memory: dict[str, Any]
        """What was loaded through this reader, for the next load."""

        def stamp(self, path: str) -> Stamp:
            """What *path* is, links followed. OSError: it is not there, or cannot be seen."""

        def names(self, path: str) -> list[tuple[str, bool]]:
            """The entries of the directory *path*, each with whether it is a directory itself (a link is not). OSError."""

        def read(self, path: str) -> bytes:
            """The content of the file *path*. OSError: it cannot be read, is no regular file, or too large."""

        def pipe(self, path: str) -> bytes:
            """What comes out of the pipe *path*. OSError."""

        def fetch(self, url: str) -> bytes:
            """The body of *url*. KairosError: it cannot be had."""

        def stdin(self) -> bytes:
            """All of standard input. OSError."""

        def now(self) -> int:
            """Nanoseconds since the epoch."""

        def kept(self, path: str) -> bytes | None:
            """The record at *path*, if it is there and the running user's alone."""

        def keep(self, path: str, data: bytes) -> None:
            """Replace the record at *path* atomically, readable for the running user only; quietly nothing if that fails."""


STDIN = "<STDIN>"
"""The root name of the steps of standard input and of the kernel command line."""
CMDLINE = "/proc/cmdline"
SUFFIXES = (".yaml", ".yml")


def load(arguments: Sequence[str], reader: Reader, *, dotnotation: bool = False, cache: str | None = None, missing_ok: Container[str] = ()) -> list[Document]:
    """The documents of all *arguments*, in order.

    An argument is a directory, a file, an http or https URL, or `-`; with *dotnotation* the sources hold dot notation,
    and an argument that is none of these is such text itself. *cache* is the path of the record that keeps parsed
    documents for the boot. The directories in *missing_ok* need not be there.
    """
    from kairos_boot.loading.cache import cache_of

    kept = cache_of(reader, None, "dots") if dotnotation else cache_of(reader, cache)
    documents: list[Document] = []
    for argument in arguments:
        documents += _source(argument, reader, kept, missing_ok, dotnotation=dotnotation)
    kept.save()
    return documents


def _source(argument: str, reader: Reader, cache: Cache, missing_ok: Container[str], *, dotnotation: bool) -> Iterator[Document]:
    parse = _dots if dotnotation else _decode
    if argument == "-":
        try:
            yield parse(reader.stdin(), STDIN)
        except OSError as error:
            yield _unreadable(STDIN, reason(error))
        return
    try:
        stamp = reader.stamp(argument)
    except OSError as error:
        yield from _no_file(argument, error, reader, parse, missing_ok)
        return
    if not stat.S_ISDIR(stamp[0]):
        yield _file(argument, reader, cache, parse, stamp)
        return
    for path in walk(clean(argument), reader):
        if isinstance(path, str):
            yield _file(path, reader, cache, parse)
        else:
            yield path


def _no_file(argument: str, error: OSError, reader: Reader, parse: Callable[[bytes, str], Document], missing_ok: Container[str]) -> Iterator[Document]:
    """An argument that is no file: a URL, dot notation, or a mistake."""
    if argument[:8].lower().startswith(("http://", "https://")):
        try:
            body = reader.fetch(argument)
        except KairosError as fault:
            yield _unreadable(shown(argument), fault.message, fault.hint)
        else:
            yield parse(body, shown(argument))
    elif parse is _dots and "=" in argument:
        yield parse(argument.encode("utf-8", "surrogateescape"), STDIN)
    elif argument not in missing_ok or not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError)) or error.errno == errno.ENAMETOOLONG
        hint = "only http and https URLs are fetched" if "://" in argument else "a source is a directory, a file, a URL, or - for standard input"
        yield _unreadable(shown(argument) if "://" in argument else argument, "no such file or directory" if missing else reason(error), hint if missing else "")


def walk(path: str, reader: Reader) -> Iterator[str | Document]:
    """The configuration files below *path*: entries in byte order of their names, a directory at its own place."""
    todo = [(path, True)]
    while todo:
        path, is_directory = todo.pop()
        if not is_directory:
            yield path
            continue
        try:
            entries = reader.names(path)
        except OSError as error:
            yield _unreadable(path, reason(error))
            continue
        prefix = "" if path == "." else "/" if path == "/" else f"{path}/"
        entries.sort(key=lambda entry: os.fsencode(entry[0]), reverse=True)
        todo += [(prefix + name, below) for name, below in entries if below or name.endswith(SUFFIXES)]


def _file(path: str, reader: Reader, cache: Cache, parse: Callable[[bytes, str], Document], stamp: Stamp | None = None) -> Document:
    given = stamp is not None  # a source itself; in a directory a pipe is a mistake
    try:
        stamp = stamp or reader.stamp(path)
        known = cache.get(path, stamp)
        return known or cache.put(path, stamp, parse(reader.pipe(path) if given and stat.S_ISFIFO(stamp[0]) else reader.read(path), path))
    except OSError as error:
        return _unreadable(path, reason(error))


def _decode(data: bytes, source: str) -> Document:
    if not data:
        return Document(source, source)
    from kairos_boot.cloudconfig.decode import decode

    try:
        return decode(data, source)
    except Exception as error:  # noqa: BLE001  # a defect of ours costs this document, not the boot
        return _unreadable(source, f"internal error while it was decoded: {type(error).__name__}: {error}", "please report it")


def _dots(data: bytes, source: str) -> Document:
    from kairos_boot.cloudconfig.dotnotation import decode

    try:
        return decode(data.decode("utf-8", "surrogateescape"), source)
    except Exception as error:  # noqa: BLE001
        return _unreadable(source, f"internal error while it was decoded: {type(error).__name__}: {error}", "please report it")


def _unreadable(source: str, message: str, hint: str = "") -> Document:
    return Document(source, source, problems=(Problem("error", source, message, hint),), broken=True)


def reason(error: OSError) -> str:
    """The system's words in lower case: `no such file or directory`."""
    return os.strerror(error.errno).lower() if error.errno else str(error)


def clean(path: str) -> str:
    """*path* without `.`, `..` and doubled slashes, by its letters alone: what its files are called after."""
    cleaned = os.path.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def load_cmdline(text: str, reader: Reader, *, strict: bool = False) -> list[Document]:  # noqa: ARG001
    """What the kernel command line configures in dot notation: one document, none if it configures nothing.

    A malformed word is a warning, since other programs own words there, too; *strict* makes it an error (B3).
    """
    if "stages" not in text:
        return []
    from kairos_boot.cloudconfig.dotnotation import LEFT_OUT, decode

    try:
        document = decode(text, CMDLINE, name=STDIN)
    except Exception as error:  # noqa: BLE001  # the documents of the node are not to suffer
        return [_unreadable(CMDLINE, f"internal error while it was decoded: {type(error).__name__}: {error}", "please report it")]
    if strict:
        problems = tuple([Problem("error", p.where, p.message, p.hint) if p.message.startswith(LEFT_OUT) else p for p in document.problems])
        document = Document(document.source, document.name, document.stages, problems, document.jobs)
    return [document] if document.stages or document.problems else []


def config_uri(text: str, values: Callable[[], Mapping[str, object]]) -> tuple[str, list[Problem]]:
    """The configuration's URI on the kernel command line, if there is one, with its template expanded; and what is wrong with it.

    `kairos.config_url=URI` and `cos.setup=URI` count, the last of them. Of *values* every text is URL-escaped; a value
    that does not exist is an error, and then there is no URI (immucore's words).
    """
    if "kairos.config_url=" not in text and "cos.setup=" not in text:
        return "", []
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
