"""datasource: user data and metadata of clouds and discs (docs/reference/datasource.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid, Note, Told
from kairos_boot.actions.datasource import CONFIG, PROVIDERS, Answer, FindUserData, ReportReady, RunUserScript
from kairos_boot.actions.datasource_found import BUDGET, LIMIT
from kairos_boot.actions.files import MakeDirectory, Owner, WriteFile
from kairos_boot.errors import KairosError
from kairos_boot.nearest import did_you_mean
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.actions.datasource_found import Found
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "datasource"
RAW, DOCUMENT = "userdata", "userdata.yaml"
METADATA = "00_metadata.yaml"
"""What the metadata says as a document, so that it holds at later boots, too; user data, which comes after it, wins."""
SECRET, OPEN = 0o600, 0o644
SECRET_FILES = ("metadata", "vendordata", "ssh/authorized_keys")
LONGEST_NAME = 64
PACKED_TWICE = b"H4sI"
"""How gzip begins in base64."""


def plan(step: Step, facts: Facts) -> Plan:
    """Yield the search and, when it was applied, what follows from what it found, one change an item."""
    source = step.datasource
    if not source.providers:
        return
    known = []
    for index, name in enumerate(dict.fromkeys(source.providers)):
        if name in PROVIDERS:
            known.append(name)
        else:
            yield Note(step.where(KEY, "providers", index), f"no such provider: {shown(name)!r}; it is left out", did_you_mean(name, PROVIDERS) or f"known are {', '.join(PROVIDERS)}")
    if source.path and not source.path.startswith("/"):
        yield Invalid(step.where(KEY, "path"), f"not an absolute path: {source.path!r}", "begin it with /")
        return
    if "/" in source.userdata_name or source.userdata_name in (".", ".."):
        yield Invalid(step.where(KEY, "userdata_name"), f"not a file name: {source.userdata_name!r}", "the directory is given by path")
        return
    yield MakeDirectory(CONFIG, where=step.where(KEY))
    budget = step.limit(BUDGET)
    answer = yield FindUserData(tuple(known), source.path, budget, step.retries, step.where(KEY))
    if not isinstance(answer, Answer):  # nobody was asked
        return
    for fault in answer.faults:
        yield Invalid(step.where(KEY), fault)
    if answer.found:
        yield from _follow(step, facts, answer, answer.found)
    elif answer.nobody:
        yield Note(step.where(KEY), answer.nobody, quiet=True)


def _follow(step: Step, facts: Facts, answer: Answer, found: Found) -> Plan:
    where = step.where(KEY)
    for note in found.notes:
        yield Note(where, f"{found.provider}: {note}")
    for fault in found.faults:
        yield Invalid(where, f"{found.provider}: {fault}")
    files = dict(found.files)
    if found.keys:
        files["ssh/authorized_keys"] = "".join(f"{key}\n" for key in found.keys).encode()
    for name, content in files.items():
        yield _write(f"{CONFIG}/{name}", content, where, SECRET if name in SECRET_FILES else OPEN)
    if found.userdata:
        if answer.base != CONFIG and (found.hostname or found.keys):
            yield _write(f"{answer.base}/{METADATA}", _metadata(found), where)
        yield from _userdata(step, facts, answer.base, found)
    yield from _hostname(found.hostname or answer.earlier, answer, where)
    if found.keys and not answer.in_initrd:  # whose /root is thrown away; the document or the next stage brings them
        from kairos_boot.actions.authorized_keys import AuthorizedKeys

        yield AuthorizedKeys("root", found.keys, where=where)
    if found.ready:
        told = yield ReportReady(found.ready, found.provider, where)
        if isinstance(told, Told) and told.note:
            yield Note(where, told.note)


def _userdata(step: Step, facts: Facts, base: str, found: Found) -> Plan:
    """Keep it as it came, never rendered, and as a document or a script if it is one."""
    from kairos_boot.actions.datasource_userdata import read

    where, path = step.where(KEY), f"{base}/{RAW}"
    try:
        data = read(found.userdata, LIMIT)
    except KairosError as error:
        yield _write(path, found.userdata, where)
        yield Invalid(where, f"the user data of {found.provider} cannot be used: {error.message}", f"it is kept in {path}")
        return
    for note in data.notes:
        yield Note(where, f"the user data of {found.provider}: {note}", f"it is kept in {path}" if data.content == found.userdata else "")
    if data.is_script:
        yield RunUserScript(path, data.content, data.interpreter(), step.limit(), where)
        return
    yield _write(path, data.content, where)
    document = facts.document(data.content, path)
    if not document.broken:
        yield _write(f"{base}/{step.datasource.userdata_name or DOCUMENT}", data.content, where)
    elif data.is_cloud_config:
        for problem in document.problems:
            if problem.severity == "error":
                yield Invalid(problem.where, problem.message, problem.hint)
    else:
        hint = "it looks like base64: give it decoded" if data.content.startswith(PACKED_TWICE) else "begin it with #cloud-config, stages: or #!"
        yield Invalid(where, f"the user data of {found.provider} is neither a cloud-config nor a script; it is kept in {path}", hint)


def _hostname(name: str, answer: Answer, where: str) -> Plan:
    if not name:
        return
    from kairos_boot.actions.hostname import NameLoopback, SetHostname

    if not _is_name(name):
        yield Invalid(where, f"the metadata's host name is none: {name[:LONGEST_NAME]!r}")
        return
    if len(name) > LONGEST_NAME:
        name = _short(name)
        yield Note(where, f"the host name has more than the {LONGEST_NAME} bytes that the kernel takes; its first part is used: {name}")
    yield SetHostname(name, where)
    if answer.in_initrd:
        return
    yield WriteFile("/etc/hostname", f"{name}\n".encode(), owner=Owner(), where=where)
    if answer.has_hosts:
        yield NameLoopback("/etc/hosts", where, name)


def _is_name(name: str) -> bool:
    """Whether it is a host name, perhaps with a domain that makes it too long."""
    return len(_short(name)) <= LONGEST_NAME and name.isascii() and name.replace("-", "").replace(".", "").replace("_", "").isalnum()


def _short(name: str) -> str:
    return name.partition(".")[0] if len(name) > LONGEST_NAME else name


def _metadata(found: Found) -> bytes:
    """Host name and keys as a document for the stage in which user data of this kind is applied."""
    import json

    step: dict[str, object] = {"name": f"Metadata of {found.provider}"}
    if _is_name(found.hostname):
        step["hostname"] = _short(found.hostname)
    if found.keys:
        step["authorized_keys"] = {"root": list(found.keys)}
    return (json.dumps({"name": "Metadata", "stages": {"initramfs": [step]}}, indent=2) + "\n").encode()


def _write(path: str, content: bytes, where: str, mode: int = SECRET) -> WriteFile:
    return WriteFile(path, content, mode, Owner(0, 0), 0o755, secret=mode == SECRET, where=where)
