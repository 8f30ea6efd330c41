"""kairos-boot validate [-d] [--json] SOURCE...

Checks cloud-config documents without a node: what a run would warn of is an error here. Each line is
FILE:LINE:COLUMN: "error" or "warning", what is wrong; what to do, the form that editors and build machines read.

  -d, --dotnotation  the sources are dot-notation text
      --json         print it for programs

Exit code: 0 valid (warnings of probable mistakes included), 1 errors, 2 wrong usage.
"""

from __future__ import annotations

import re

from kairos_boot.actions.base import Invalid, Note
from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.output import as_data, as_line, say, say_data
from kairos_boot.cloudconfig.lint import advice, faults
from kairos_boot.cloudconfig.model import Problem
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.loading.sources import STDIN
from kairos_boot.node import sections
from kairos_boot.node.config import has_header, settings_of
from kairos_boot.records import replace
from kairos_boot.shown import shown
from kairos_boot.stages.graph import order
from kairos_boot.stages.planning import Planned
from kairos_boot.system.host import Host
from kairos_boot.system.reader import HostReader
from kairos_boot.template import TemplateError, check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kairos_boot.cloudconfig.model import Document, Step


FLAGS = {"json": False, "dotnotation": False}


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, {"d": "dotnotation"})
    if not given.words:
        raise UsageError("it needs at least one source")
    reader = _Kept(Host("/"))
    documents, found = [], []
    for word in given.words:
        sources = wiring.sources_of(Host("/"), [word], given)
        sources.reader = reader
        loaded = sources.load()
        documents += loaded
        if not loaded:
            found.append(wiring.nothing_in(word))
    found += dict.fromkeys(problems(documents))
    if "dotnotation" not in given:
        for name, text in reader.texts.items():
            found += settings(text, name)
    found = in_order(found, list(reader.texts))
    if "json" in given:
        say_data({"problems": [as_data(p) for p in found]})
    else:
        say("".join(as_line(p) for p in found))
    return 1 if any(p.severity == "error" for p in found) else 0


def in_order(found: Iterable[Problem], files: Sequence[str]) -> list[Problem]:
    """The findings of one file together, by line and column, in the order of *files*; before them what has no place in one."""
    from kairos_boot.reports.text import place

    numbers = {name: number for number, name in enumerate(files)}

    def key(problem: Problem) -> tuple[int, object, object]:
        at = place(problem.where)
        return numbers.get(str(at.get("file")), -1), at.get("line", 0), at.get("column", 0)

    return sorted(found, key=key)


def settings(text: bytes, source: str) -> list[Problem]:
    """What is wrong with the settings in *text*, which no stage looks at; what makes it no document is told by `problems`."""
    if not text.strip():
        return [Problem("warning", source, "the document is empty")]
    found = settings_of(text, source).settings
    if not has_header(text):
        return list(sections.unheard(found))
    return [*(replace(problem, severity="error") for problem in sections.problems(found)), *sections.refused(found)]


class _Kept(HostReader):
    """Keeps the texts that were read, by their names in messages."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.texts: dict[str, bytes] = {}

    def read(self, path: str) -> bytes:
        self.texts[path] = super().read(path)
        return self.texts[path]

    def pipe(self, path: str) -> bytes:
        self.texts[path] = super().pipe(path)
        return self.texts[path]

    def fetch(self, url: str) -> bytes:
        self.texts[shown(url)] = super().fetch(url)
        return self.texts[shown(url)]

    def stdin(self) -> bytes:
        self.texts[STDIN] = super().stdin()
        return self.texts[STDIN]


def problems(documents: list[Document]) -> Iterator[Problem]:
    """Everything that is wrong with *documents*, on their own and together."""
    for document in documents:
        for problem in document.problems:
            yield Problem("error" if problem.severity != "advice" else "warning", problem.where, problem.message, problem.hint)
        yield from faults(document)
        for each in advice(document):
            yield Problem("warning", each.where, each.message, each.hint)
        for stage in document.stages:
            for step in document.steps(stage):
                yield from of_step(step)
    for stage in dict.fromkeys(s for d in documents for s in d.stages):
        for problem in order(documents, stage).problems:
            yield Problem("error", problem.where, problem.message, problem.hint)


def of_step(step: Step) -> Iterator[Problem]:
    """What the step's modules find wrong, without a node."""
    facts = _UnknownFacts()
    facts.render(step.if_, step.where("if"))
    for key, action in Planned(step, facts):
        if isinstance(action, KairosError):
            yield Problem("error", action.where or step.where(key), action.message, action.hint)
        elif isinstance(action, Invalid):
            yield Problem("error", action.where, action.message, action.hint)
        elif type(action) is Note:  # not of one that needs a node
            yield Problem("warning", action.where, action.message, action.hint)
    yield from facts.unread


class _UnknownFacts(Facts):
    """Facts of no node in particular: a template must be one, what it prints is seen when it runs."""

    def __init__(self) -> None:
        super().__init__(hostname_data=lambda: dict.fromkeys(("UUID", "Random", "MachineID", "ProtectedID"), "0123456789abcdef" * 2))
        self.unread: list[Problem] = []

    def render(self, text: str, where: str, *, secret: bool | None = False, needed: bool = False) -> str:
        """As a node would, after a look at all of it: a rendering sees only the parts that it comes to."""
        try:
            check(text)
        except TemplateError as error:
            return self.failing(text, error, where, secret=secret, needed=needed)
        return super().render(text, where, secret=secret, needed=needed)

    def render_hostname(self, text: str) -> str:
        """The same; an error is its module's to tell."""
        check(text)
        return super().render_hostname(text)

    def failing(self, text: str, error: TemplateError, where: str, *, secret: bool | None, needed: bool) -> str:
        """Keep what cannot be parsed; what only fails may do so for the lack of a node."""
        if error.unread:
            self.unread.append(Problem("error", where, error.message if secret is False else error.discreet(), error.hint if secret is False else ""))
        return re.sub(r"{{.*?(}}|$)", "value", text, flags=re.DOTALL) if needed else text

    def lacking(self, rendered: str, names: str, where: str, *, needed: bool) -> str:  # noqa: ARG002
        return rendered.replace("<no value>", "value")
