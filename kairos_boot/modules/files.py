"""files: whole files with mode and owner (docs/reference/files.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid
from kairos_boot.actions.encodings import decode
from kairos_boot.actions.files import DIRECTORY_MODE, Owner, WriteFile, is_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "files"


def plan(step: Step, facts: Facts) -> Plan:
    """Yield one write per file that is not deferred, its content decoded first and rendered then."""
    return _plan(step, facts, deferred=False)


def plan_deferred_files(step: Step, facts: Facts) -> Plan:
    """Yield the files with `defer`, which are written after the step's accounts and all else but the commands of `runcmd` (B8, B12)."""
    return _plan(step, facts, deferred=True)


def _plan(step: Step, facts: Facts, *, deferred: bool) -> Plan:
    for index, file in enumerate(step.files):
        if file.defer is not deferred:
            continue
        where = step.where(KEY, index)
        if not file.path.startswith("/"):
            yield Invalid(step.where(KEY, index, "path"), f"not an absolute path: {file.path!r}", "begin it with /")
            continue
        if file.path.endswith("/"):
            yield Invalid(step.where(KEY, index, "path"), f"a file's path does not end in a slash: {file.path!r}", "name the file, or use `directories`")
            continue
        try:
            content = decode(file.content, file.encoding)
        except ValueError as error:
            yield Invalid(step.where(KEY, index, "content"), f"cannot decode the content of {file.path} as {file.encoding}: {error}")
            continue
        secret = is_private(file.permissions)
        if b"{{" in content:  # without a given mode the file may keep one that is private
            text = facts.render(content.decode("utf-8", "surrogateescape"), step.where(KEY, index, "content"), secret=None if file.permissions is None else secret)
            content = text.encode("utf-8", "surrogateescape")
        yield WriteFile(file.path, content, file.permissions, Owner.asked(file.ownerstring, file.owner, file.group), secret=secret, where=where, append=file.append,
                        parent_mode=DIRECTORY_MODE if step.classic else None, own_parents=file.defer)
