"""What `validate` finds in documents that can be read: expressions that are none, and probable mistakes.

Nothing here stops a run, and no message repeats a value that may be secret.
"""

from __future__ import annotations

import re

from kairos_boot.cloudconfig.model import Problem
from kairos_boot.errors import KairosError
from kairos_boot.nearest import did_you_mean
from kairos_boot.shown import one_line
from kairos_boot.template.regex import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.cloudconfig.model import Document, File, Step

SECRET_PATH = re.compile(r"(^|/)(id_(rsa|dsa|ecdsa|ed25519)|\.netrc|\.pgpass|shadow|gshadow)$|\.(key|p12|pfx|kdbx)$|(^|[/_.-])(secrets?|credentials?|tokens?)([/_.-]|$)", re.IGNORECASE)
SECRET_TEXT = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|(^|[^a-z])(password|passwd|passphrase|psk|secret|token|api_?key|access_?key)[\"']?\s*[:=]\s*[\"']?[^\s\"'{<$]{4,}",
                         re.IGNORECASE)
TIMEZONE = "if [ -e /usr/share/zoneinfo/"
"""How the command begins that `timezone` becomes: nobody wrote it, and it may run at every boot."""
LONELY = re.compile(r"\s*(cd(\s+[^;&|]*)?|(export\s+)?[A-Za-z_]\w*=(\$\([^)]*\)|`[^`]*`|'[^']*'|\"[^\"]*\"|[^\s;&|]*)\s*;?|export\s+[A-Za-z_]\w*)\s*")


def faults(document: Document) -> Iterator[Problem]:
    """The conditions of *document* that hold on no node: what is no regular expression (B11), and unknown words."""
    for stage in document.stages:
        for step in document.steps(stage):
            for key in ("node", "only_os", "only_os_version", "only_arch"):
                expression = getattr(step, key)
                try:
                    check(expression)
                except KairosError as error:
                    yield Problem("error", step.where(key), one_line(error.message), error.hint)
            if step.only_service_manager.lower() not in ("", "systemd", "openrc"):
                yield Problem("error", step.where("only_service_manager"), f"not a service manager: {step.only_service_manager!r}", "write systemd or openrc")
            for kind in step.if_files:
                if kind not in ("all", "any", "none"):
                    yield Problem("error", step.where("if_files", kind), f"{kind!r} is none of all, any, none", did_you_mean(kind, ("all", "any", "none")))


def advice(document: Document) -> Iterator[Problem]:
    """What in *document* is probably not meant."""
    for stage in document.stages:
        for step in document.steps(stage):
            yield from _secrets(step)
            yield from _commands(step)
            yield from _owners(step)
            if step.classic:
                yield from _cloud_init(step)
            else:
                yield from _order(step)


def _doubt(step: Step, path: tuple[str | int, ...], message: str, hint: str) -> Problem:
    return Problem("advice", step.where(*path), message, hint)


def _named(step: Step, key: str, path: tuple[str | int, ...], message: str, hint: str) -> Problem:
    """A doubt of what cloud-init's *key* gave, called by the name that the document has for it."""
    place = step.where(*path).removeprefix(step.source).partition(": ")[0]
    return Problem("advice", f"{step.source}{place}: {key}", message, hint)


def _secrets(step: Step) -> Iterator[Problem]:
    """Files that everybody may read and that look as if they should not."""
    for number, file in enumerate(step.files):
        readable = file.permissions is None or file.permissions & 0o004
        if readable and (SECRET_PATH.search(file.path) or SECRET_TEXT.search(_content(file))):
            how = f"mode {file.permissions:04o}" if file.permissions is not None else "the mode of a new file, 0644"
            yield _doubt(step, ("files", number), f"{file.path} looks secret and everybody may read it ({how})", 'give it `permissions: "0600"`')


def _content(file: File) -> str:
    if file.encoding not in ("b64", "base64"):
        return file.content
    from binascii import Error, a2b_base64

    try:
        return a2b_base64(file.content).decode("utf-8", "replace")
    except (Error, ValueError):
        return ""


def _commands(step: Step) -> Iterator[Problem]:
    """Commands without an effect, since each has a shell of its own."""
    for number, command in enumerate(step.commands):
        if LONELY.fullmatch(command):
            yield _doubt(step, ("commands", number), f"{command.strip()[:40]!r} has no effect on the next command: each has a shell of its own",
                         "put both into one item, with && between them")


def _order(step: Step) -> Iterator[Problem]:
    """Commands that need what a later module of the same step makes (docs/README.md has their order)."""
    for number, command in enumerate(step.commands):
        for key, names in (("users", tuple(step.users)), ("packages", step.packages.install), ("systemctl", step.systemctl.enable + step.systemctl.start),
                           ("sysctl", tuple(step.sysctl)), ("environment", tuple(step.environment))):
            name = next((n for n in names if _names(command, n)), "")
            if name and not (key == "environment" and f"{name}=" in command):
                yield _doubt(step, ("commands", number), f"it names {name!r} of `{key}`, which comes after `commands` in a step, wherever it is written",
                             f"put `{key}` into a step before this one")
                break


def _names(command: str, name: str) -> bool:
    """Whether the name stands in the command as a word of its own."""
    return bool(name) and bool(re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w-])", command))


def _owners(step: Step) -> Iterator[Problem]:
    """Files whose owner is made later in the same step."""
    owned = [("files", number, file.ownerstring) for number, file in enumerate(step.files) if not file.defer]
    owned += [("downloads", number, download.ownerstring) for number, download in enumerate(step.downloads)]
    for key, number, owner in owned:
        user = owner.partition(":")[0]
        if user in step.users:
            yield _doubt(step, (key, number, "ownerstring"), f"the user {user!r} is made after the {key} of its step",
                         "add `defer: true`" if key == "files" else "put `users` into a step before this one")


def _cloud_init(step: Step) -> Iterator[Problem]:
    """What a cloud-init user expects otherwise (B12)."""
    if "." in step.hostname and "{{" not in step.hostname:
        yield _named(step, "hostname", ("hostname",), "the host name is set as it is written; cloud-init would cut it at its first dot", "write the short name, and the full one as `fqdn`, unless that is meant")
    own = next((number for number, command in enumerate(step.commands) if not command.startswith(TIMEZONE)), None)
    if own is not None and step.place.endswith("[0]"):  # the later ones are of disks, whose commands nobody wrote either
        key = {"boot": "runcmd", "boot.before": "bootcmd"}.get(step.place.removeprefix("stages.").partition("[")[0], "commands")
        yield _named(step, key, ("commands", own), "these commands run at every boot, not only at the first", "write a step with `frequency: once` under `stages:` for what must run once")
    for name, user in step.users.items():
        if (user.passwd or user.plain_text_passwd) and "lock_passwd" not in _given(step, name):
            yield _doubt(step, ("users", name, "passwd" if user.passwd else "plain_text_passwd"), f"the password opens the account {name!r}; cloud-init would lock it", "add `lock_passwd: false` or `true` to say what you mean")
    for number, password in enumerate(step.passwords):
        yield _doubt(step, ("passwords", number), f"the password of {password.name!r} is set at each boot that finds another one", "write the hash of the one that the user has, or a step with `frequency: once`")
    for number, file in enumerate(step.files):
        if file.ownerstring not in ("", "root") and ":" not in file.ownerstring:
            yield _named(step, "write_files", ("files", number, "ownerstring"), f"{one_line(file.path)} gets the own group of {file.ownerstring!r}, too", "write `owner: USER:GROUP` to choose another")


def _given(step: Step, name: str) -> set[str]:
    """The keys that the document gives for a user."""
    start = f"users/{name}/"
    return {path.removeprefix(start) for path in step.marks if path.startswith(start)}
