"""The merged configuration of a node: settings of all its documents, in the published order (F1-F3).

Stages are not run from it; they run document by document. Here they are concatenated like any list of maps.
"""

from __future__ import annotations

from kairos_boot.cloudconfig.model import Problem
from kairos_boot.cloudconfig.nodes import MAPPING, SCALAR, YamlSyntaxError
from kairos_boot.errors import KairosError
from kairos_boot.loading.cmdline import CMDLINE
from kairos_boot.loading.sources import clean, walk
from kairos_boot.node.settings import Reader, Setting, empty, merge, word
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kairos_boot.loading.reader import Reader as DocumentReader

DIRECTORIES = ("/run/initramfs/live", "/usr/local/cloud-config", "/etc/kairos", "/etc/elemental", "/oem")
"""Where settings are, the later winning."""
DEPRECATED = "/etc/elemental"
HEADERS = (b"#cloud-config", b"#kairos-config", b"#node-config")
HEADER_LINES = 10
CHAIN = 5
"""How many documents `config_url` may lead through, one after the other."""
WORDS = frozenset(("install", "reset", "upgrade", "config_url", "options", "fail_on_bundles_errors", "bundles", "grub_options", "env", "debug", "strict",
                   "cloud-init-paths", "eject-cd", "cosign", "verify", "cosign-key", "arch", "platform", "squash-compression", "squash-no-compression",
                   "uki-max-entries", "bind-pcrs", "bind-public-pcrs", "logs"))
"""Settings that a word `a.b=c` of the kernel command line may give; other programs own the rest of it."""
BARE = frozenset(("debug", "strict"))
"""Settings that are booleans by themselves: a bare word means true."""


class Config:
    """The settings, the documents that they came from in the order of the merge, and what was wrong on the way."""

    def __init__(self) -> None:
        self.settings: Setting = empty()
        self.sources: list[str] = []
        self.texts: dict[str, bytes] = {}
        """What each source says, by its name."""
        self.problems: list[Problem] = []

    def lay(self, new: Setting) -> None:
        """Lay *new* over what is there; a key that cannot be merged keeps its old value and is a problem."""
        merged = dict(self.settings.value)
        for key, item in new.value.items():
            try:
                merged[key] = merge(merged[key], item, key) if key in merged else item
            except KairosError as error:
                self.problems.append(Problem("error", error.where, error.message, error.hint))
        self.settings = Setting(MAPPING, merged, new.where)


class Collector:
    """Reads the documents of one node. *reader* reads files and addresses, *values* gives the template data of addresses; *option* is what gives the words that
    are the kernel command line's else.
    """

    def __init__(self, reader: DocumentReader, values: Callable[[], Mapping[str, object]], option: str = "") -> None:
        self.reader = reader
        self.values = values
        self.option = option
        self.config = Config()

    def collect(self, cmdline: str, directories: Sequence[str] = DIRECTORIES) -> Config:
        """The configuration of *directories*, then of the kernel command line."""
        for directory in directories:
            try:
                self.reader.stamp(directory)
            except OSError:
                continue
            for path in walk(clean(directory), self.reader):
                if isinstance(path, str):
                    self._file(path, deprecated=directory == DEPRECATED)
                else:
                    self.config.problems += path.problems
        self._lay(from_cmdline(cmdline, self.option), self.option or CMDLINE)
        return self.config

    def given(self, name: str, cmdline: str, directories: Sequence[str] = ()) -> Config:
        """The configuration of *directories*, then of the document *name*, a path or an address, then of the kernel command line.

        KairosError: the document cannot be had, or is none.
        """
        for directory in directories:
            self.collect("", (directory,))
        try:
            data = self.reader.fetch(name) if "://" in name else self.reader.read(name)
        except OSError as error:
            raise KairosError((error.strerror or str(error)).lower(), name, "name a file, or an address that begins with https://") from error
        source = shown(name) if "://" in name else name
        if not has_header(data):
            raise KairosError("this is no configuration: the line #cloud-config is missing", source)
        before = len(self.config.problems)
        settings = self.read(data, source)
        if settings is None:
            first = self.config.problems[before]
            raise KairosError(first.message, first.where, first.hint)
        self._note(source, data)
        self._lay(settings, source)
        self._lay(from_cmdline(cmdline, self.option), self.option or CMDLINE)
        return self.config

    def _note(self, source: str, data: bytes) -> None:
        self.config.sources.append(source)
        self.config.texts[source] = data

    def _file(self, path: str, *, deprecated: bool) -> None:
        try:
            data = self.reader.read(path)
        except OSError as error:
            self._problem("error", path, (error.strerror or str(error)).lower())
            return
        if not has_header(data):
            self.config.problems += _left_out(data, path)
            return
        if deprecated:
            self._problem("warning", path, f"{DEPRECATED} is an old place", "move it to /etc/kairos or /oem")
        settings = self.read(data, path)
        if settings is not None:
            self._note(path, data)
            self._lay(settings, path)

    def _lay(self, settings: Setting, source: str) -> None:
        """Lay *settings* over the rest, and over it the documents that its `config_url` leads to."""
        self.config.lay(settings)
        for remote in reversed(self._chain(settings, source)):
            self.config.lay(remote)

    def _chain(self, settings: Setting, source: str) -> list[Setting]:
        """The documents that `config_url` of *settings* leads to, the nearest first."""
        found: list[Setting] = []
        seen: list[str] = []
        while True:
            item = settings.value.get("config_url")
            if item is None or item.kind is not SCALAR or not item.value or item.data is None:
                return found
            try:
                url = self._address(item.value)
                fault = _refused(url, seen)
                data = b"" if fault else self.reader.fetch(url)
            except KairosError as error:
                self._problem("warning", f"{item.where}: config_url", error.message, error.hint)
                return found
            if fault:
                self._problem("error", item.where, fault, "put what is needed into one document")
                return found
            seen.append(url)
            if not has_header(data):
                self._problem("warning", f"{item.where}: config_url", f"{shown(url)} is no configuration: the line #cloud-config is missing")
                return found
            read = self.read(data, shown(url))
            if read is None:
                return found
            self._note(f"{shown(url)} (config_url of {source})", data)
            found.append(settings := read)
            source = shown(url)

    def _address(self, text: str) -> str:
        if "{{" not in text:
            return text
        from kairos_boot.loading.cmdline import render_uri

        return render_uri(text, self.values)

    def read(self, data: bytes, source: str) -> Setting | None:
        """The settings of a document, or None: it costs itself only (B1)."""
        from kairos_boot.cloudconfig.compose import compose
        from kairos_boot.cloudconfig.typed import Decoder, NestingError

        decoder = Decoder(source)
        try:
            root = compose(data)
            if root is None or (root.kind is SCALAR and not root.value):
                return empty()
            if root.kind is not MAPPING:
                self._problem("error", f"{source}:{root.line}:{root.column}", f"a configuration is a map of keys, not a {root.kind}")
                return None
            settings = Reader(decoder).read(root)
        except YamlSyntaxError as fault:
            self._problem("error", f"{source}:{fault.line}:{fault.column}", fault.message, fault.hint)
            return None
        except KairosError as error:
            self._problem("error", error.where, error.message, error.hint)
            return None
        except (NestingError, RecursionError):
            self._problem("error", source, "aliases or maps are nested too deeply", "write the values out")
            return None
        self.config.problems += decoder.problems
        return None if decoder.broken else settings

    def _problem(self, severity: str, where: str, message: str, hint: str = "") -> None:
        self.config.problems.append(Problem(severity, where, message, hint))


def settings_of(data: bytes, source: str) -> Config:
    """The settings of one text, header or not, and what is wrong with it."""
    collector = Collector(None, dict)  # type: ignore[arg-type]
    collector.config.settings = collector.read(data, source) or empty()
    return collector.config


def _left_out(data: bytes, source: str) -> list[Problem]:
    """What a document without the header says for nobody: a warning here, since the node is as good as without it."""
    from kairos_boot.node.sections import unheard

    return [Problem("warning", p.where, p.message, p.hint) for p in unheard(settings_of(data, source).settings)]


def _refused(url: str, seen: Sequence[str]) -> str:
    """Why the chain of `config_url` ends before *url*, or nothing."""
    if url in seen:
        return f"config_url leads in a circle: {shown(url)} again"
    return f"config_url leads through more than {CHAIN} documents, next to {shown(url)}" if len(seen) == CHAIN else ""


def has_header(data: bytes) -> bool:
    """Whether one of the first lines says that the text is a configuration; Kairos' collector passes over files without it."""
    return any(line.rstrip() in HEADERS for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n", HEADER_LINES)[:HEADER_LINES])


def from_cmdline(text: str, option: str = "") -> Setting:
    """The settings that the kernel command line, or *option*, gives: `a.b=c` below the keys of Kairos' own configuration, then `kairos.config=a.b=c`."""
    from kairos_boot.cloudconfig.dotnotation import MalformedError, path_of, words

    plain, owned = empty(), empty()
    for text_word, start in words(text):
        key, equals, value = text_word.partition("=")
        where = f"{option} {key}" if option else f"{CMDLINE}:1:{start + 1}"
        target = plain
        if key == "kairos.config":
            key, equals, value = value.partition("=")
            target = owned
        elif key == "kairos.config_url" or (key == "cos.setup" and ("=" not in value or "://" in value)):
            key, target = "config_url", owned
        elif key == "cos.setup":
            key, equals, value = value.partition("=")
            target = owned
        elif not equals and "." not in key and key not in BARE:
            continue
        try:
            path = path_of(key)
        except MalformedError:
            continue
        if not path or (target is plain and path[0] not in WORDS):
            continue
        setting = word(value if equals else "true", where)
        if target is owned:
            setting.plain = False
        _put(target, path, setting)
    return merge(plain, owned) if owned.value else plain


def _put(root: Setting, path: list[str | int], item: Setting) -> None:
    """Set the value at *path*, making maps and lists on the way; what cannot hold a later word is replaced by it."""
    here = root
    for part, following in zip(path, [*path[1:], None], strict=True):
        new = item if following is None else Setting("list" if isinstance(following, int) else MAPPING, [] if isinstance(following, int) else {}, item.where)
        if isinstance(part, int):
            if part > len(here.value):
                return
            if part == len(here.value):
                here.value.append(new)
            elif following is None or here.value[part].kind is not new.kind:
                here.value[part] = new
            here = here.value[part]
            continue
        known = here.value.get(part)
        if following is None or known is None or known.kind is not new.kind:
            here.value[part] = new
        here = here.value[part]
