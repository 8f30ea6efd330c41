"""What modules may know of the node without reading it: they are handed facts and give actions."""

from __future__ import annotations

from _thread import allocate_lock

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kairos_boot.cloudconfig.model import Document
    from kairos_boot.template import TemplateError


class Facts:
    """Facts of one node, each gathered when it is first asked for.

    *gather* gives the template data `.Values` (docs/reference/templates.md); *hostname_data* the fields of a `hostname` template;
    *read* the content of a file of the node or None (for what a module must compare: `/etc/os-release`).
    """

    def __init__(self, gather: Callable[[], Mapping[str, object]] = dict, hostname_data: Callable[[], Mapping[str, object]] = dict,
                 read: Callable[[str], bytes | None] = lambda path: None) -> None:  # noqa: ARG005
        self._gather = gather
        self._hostname_data = hostname_data
        self.read = read
        self.warnings: list[tuple[str, str]] = []
        """Place and text of what went wrong while rendering; the runner takes and records them."""
        self._one = allocate_lock()

    def view(self) -> Facts:
        """The same facts for one step, with warnings of its own."""
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view.warnings = []
        return view

    def render(self, text: str, where: str, *, secret: bool | None = False, needed: bool = False) -> str:
        """*text* with its template expanded; a template that fails is a warning, and the text stays as it is (docs/reference/templates.md).

        A value that the node does not have is a warning, too (B15). Of a *secret* text neither has a word (C5); None: it may be
        one, so of the facts it asks for only the names are told. Where the text is a name, a user or a path, it is *needed*: then both are a KairosError.
        """
        if "{{" not in text:
            return text
        from kairos_boot.template import TemplateError, render

        missing: list[tuple[str, int]] = []
        try:
            with self._one:  # a value is gathered when it is first asked for, once
                rendered = render(text, {"Values": self._gather()}, missing=missing)
        except TemplateError as error:
            return self.failing(text, error, where, secret=secret, needed=needed)
        if missing:
            names = ", ".join(source if secret is False or (secret is None and source.startswith(".Values.")) else f"a value in line {line}" for source, line in missing)
            return self.lacking(rendered, names, where, needed=needed)
        return rendered

    def failing(self, text: str, error: TemplateError, where: str, *, secret: bool | None, needed: bool) -> str:
        """What stands for *text*, whose template fails: the text itself."""
        said = error.message if secret is False else error.discreet()
        if needed:
            raise KairosError(said, where, error.hint if secret is False else "")
        hint = f"; {error.hint}" if error.hint and secret is False else ""
        self.warnings.append((where, f"the template was left as it is: {said}{hint}"))
        return text

    def lacking(self, rendered: str, names: str, where: str, *, needed: bool) -> str:
        """What stands for a text that was *rendered* without the values *names*: just that."""
        said, hint = f"this node does not have {names}", "give it a value with default"
        if needed:
            raise KairosError(said, where, hint)
        self.warnings.append((where, f"{said}: <no value> stands for it; {hint}"))
        return rendered

    def render_hostname(self, text: str) -> str:
        """A host name with its template expanded (`.MachineID`, `.Random`, `.UUID`, `.ProtectedID`). KairosError: it fails."""
        if "{{" not in text:
            return text
        from kairos_boot.template import render

        data = self._hostname_data()
        try:
            with self._one:
                return render(text, data, strict=True)
        except KairosError:
            if "MachineID" not in data and (".MachineID" in text or ".ProtectedID" in text):
                raise KairosError("this node has no machine id yet", hint="set the host name in a later stage, or use .UUID or .Random") from None
            raise

    def document(self, data: bytes, source: str) -> Document:
        """What *data* is as a cloud-config document called *source* in messages; `broken` where it is none."""
        from kairos_boot.cloudconfig.decode import decode

        return decode(data, source)
