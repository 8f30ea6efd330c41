"""Sources to documents: directories, files, URLs, standard input (A1, B1, B5).

Nothing here opens a file: a reader is handed in. A source or a file that cannot be loaded costs itself only; it becomes
a broken document that says why.
"""

from __future__ import annotations

import errno
import os
import stat

from kairos_boot.cloudconfig.model import Document, Problem
from kairos_boot.errors import KairosError
from kairos_boot.loading.memory import Memory
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from kairos_boot.loading.reader import Reader, Stamp


STDIN = "<STDIN>"
"""The root name of the steps of standard input and of the kernel command line."""
SUFFIXES = (".yaml", ".yml")


def load(arguments: Sequence[str], reader: Reader, *, dotnotation: bool = False, memory: Memory | None = None, missing_ok: Container[str] = ()) -> list[Document]:
    """The documents of all *arguments*, in order.

    An argument is a directory, a file, an http or https URL, or `-`; with *dotnotation* the sources hold dot notation,
    and an argument that is none of these is such text itself. *memory* has what was loaded before and keeps what is new:
    a file until it changes, what came over the network or through standard input for good. The directories in
    *missing_ok* need not be there.
    """
    kept = memory or Memory(reader)
    documents: list[Document] = []
    for argument in arguments:
        documents += _source(argument, reader, kept, missing_ok, dotnotation=dotnotation)
    kept.save()
    return documents


def _source(argument: str, reader: Reader, memory: Memory, missing_ok: Container[str], *, dotnotation: bool) -> Iterator[Document]:
    parse = _dots if dotnotation else _decode
    if argument == "-":
        yield memory.once(argument, lambda: _stdin(reader, parse))
        return
    try:
        stamp = reader.stamp(argument)
    except OSError as error:
        yield from _no_file(argument, error, reader, memory, parse, missing_ok)
        return
    if not stat.S_ISDIR(stamp[0]):
        yield _file(argument, reader, memory, parse, stamp)
        return
    for path in walk(clean(argument), reader):
        if isinstance(path, str):
            yield _file(path, reader, memory, parse)
        else:
            yield path


def _no_file(argument: str, error: OSError, reader: Reader, memory: Memory, parse: Callable[[bytes, str], Document], missing_ok: Container[str]) -> Iterator[Document]:
    """An argument that is no file: a URL, dot notation, or a mistake."""
    if argument[:8].lower().startswith(("http://", "https://")):
        yield memory.once(argument, lambda: _fetched(argument, reader, parse))
    elif parse is _dots and "=" in argument:
        yield parse(argument.encode("utf-8", "surrogateescape"), STDIN)
    elif argument not in missing_ok or not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError)) or error.errno == errno.ENAMETOOLONG
        hint = "only http and https URLs are fetched" if "://" in argument else "a source is a directory, a file, a URL, or - for standard input"
        fact = "no such file or directory"
        if reader.root != "/" and "://" not in argument:
            fact, hint = f"{fact} below {reader.root}", "there a source is looked up; a file from elsewhere is taken by - from standard input"
        yield _unreadable(shown(argument) if "://" in argument else argument, fact if missing else reason(error), hint if missing else "")


def _stdin(reader: Reader, parse: Callable[[bytes, str], Document]) -> Document:
    try:
        return parse(reader.stdin(), STDIN)
    except OSError as error:
        return _unreadable(STDIN, reason(error))


def _fetched(url: str, reader: Reader, parse: Callable[[bytes, str], Document]) -> Document:
    try:
        return parse(reader.fetch(url), shown(url))
    except KairosError as fault:
        return _unreadable(shown(url), fault.message, fault.hint)


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


def _file(path: str, reader: Reader, memory: Memory, parse: Callable[[bytes, str], Document], stamp: Stamp | None = None) -> Document:
    given = stamp is not None  # a source itself; in a directory a pipe is a mistake
    try:
        stamp = stamp or reader.stamp(path)
        known = memory.get(path, stamp)
        return known or memory.put(path, stamp, parse(reader.pipe(path) if given and stat.S_ISFIFO(stamp[0]) else reader.read(path), path))
    except OSError as error:
        return _unreadable(path, reason(error))


def _decode(data: bytes, source: str) -> Document:
    if not data:
        return Document(source, source)
    from kairos_boot.cloudconfig.decode import decode

    return guarded(lambda: decode(data, source), source)


def _dots(data: bytes, source: str) -> Document:
    from kairos_boot.cloudconfig.dotnotation import decode

    return guarded(lambda: decode(data.decode("utf-8", "surrogateescape"), source), source)


def guarded(decode: Callable[[], Document], source: str) -> Document:
    """What *decode* makes of *source*: a defect of ours costs this document, not the boot."""
    try:
        return decode()
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
