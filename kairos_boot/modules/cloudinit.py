"""What only the classic keys of a #cloud-config document ask for; the loader makes the keys of these plans (B12)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid, Note
from kairos_boot.actions.encodings import decode
from kairos_boot.actions.files import Owner
from kairos_boot.actions.hostname import NameNode
from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "cloudinit"


def plan_passwords(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    from kairos_boot.actions.passwords import SetPassword

    for index, item in enumerate(step.passwords):
        where = step.where("passwords", index)
        if any(c in item.password for c in "\n\0") or (":" in item.password and not item.plain):
            yield Invalid(where, f"user {item.name}: the password holds a character that no account file can hold")
        else:
            yield SetPassword(item.name, item.password, item.plain, item.expire, where)


def plan_group_members(step: Step, facts: Facts) -> Plan:
    """Yield the members of each group; who does not exist is named and left out."""
    from kairos_boot.actions.entities import EnsureEntity

    accounts = facts.read("/etc/passwd")
    known = {line.split(b":")[0].decode("utf-8", "surrogateescape") for line in (accounts or b"").split(b"\n") if line.count(b":") > 2}
    for group, members in step.group_members.items():
        where = step.where("group_members", group)
        there = [name for name in members if accounts is None or name in known or name in step.users]  # without a node nobody is missing
        for name in members:
            if name not in there:
                yield Note(where, f"{name} does not exist and is left out of the group {group}", "list the user under `users`")
        if there:
            yield EnsureEntity("group", {"group_name": group, "users": ",".join(there)}, where=where)


def plan_sudoers(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    from kairos_boot.actions.access import IncludeRules

    if step.sudoers:
        yield IncludeRules("/etc/sudoers", step.where("sudoers"))


def plan_ssh_pwauth(step: Step, facts: Facts) -> Plan:
    """Yield the setting of the ssh server, and the server's reload."""
    from kairos_boot.actions.access import ReloadServer, ServerSetting

    where = step.where("ssh_pwauth")
    if facts.read("/etc/passwd") is not None and not any(facts.read(path) is not None for path in ServerSetting.MAIN):
        yield Note(where, "there is no ssh server's configuration, so ssh_pwauth changes nothing", "install the server in the image")
        return
    changed = yield ServerSetting("PasswordAuthentication", step.ssh_pwauth, where)
    if changed is not False:
        yield ReloadServer(step.timeout or 0, where)


def plan_ca_certs(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    """Yield one action: files, store and check belong together."""
    from kairos_boot.actions.certificates import TrustCertificates

    wanted, where = step.ca_certs, step.where("ca_certs")
    for number, text in enumerate(wanted.trusted):
        if "-----BEGIN CERTIFICATE-----" not in text or "-----END CERTIFICATE-----" not in text:
            yield Invalid(where, f"certificate {number + 1} is not in PEM form", "it begins with -----BEGIN CERTIFICATE-----")
            return
    yield TrustCertificates(wanted.trusted, wanted.remove_defaults, step.limit(), where)


def plan_etc_hosts(step: Step, facts: Facts) -> Plan:
    """Yield the line of the node's own names; a template that fails is an error of the key `hostname`."""
    wanted = step.etc_hosts
    try:
        hostname = facts.render_hostname(wanted.hostname).strip()
    except KairosError:
        return
    hostname = hostname or (facts.read("/etc/hostname") or b"").decode("utf-8", "replace").strip()
    names = list(dict.fromkeys(name for name in (wanted.fqdn or hostname, hostname.partition(".")[0]) if name))
    if not names and facts.read("/etc/passwd") is None:
        return  # no node, no name
    if any(name.split() != [name] or "#" in name for name in names) or not names:
        yield Invalid(step.where("etc_hosts"), "there is no name for /etc/hosts", "give `hostname` or `fqdn`")
    else:
        yield NameNode("/etc/hosts", step.where("etc_hosts"), tuple(names))


def plan_fetched_files(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    """Yield one action per file whose content comes from a URL and has to be appended, or may be replaced by its `content`."""
    from kairos_boot.actions.fetched import FetchedFile

    for index, file in enumerate(step.fetched_files):
        where = step.where("fetched_files", index)
        if not file.path.startswith("/") or file.path.endswith("/"):
            yield Invalid(where, f"not an absolute path of a file: {file.path!r}", "begin it with /")
            continue
        try:
            content = None if file.content is None else decode(file.content, file.encoding)
        except ValueError as error:
            yield Invalid(where, f"cannot decode the content of {file.path} as {file.encoding}: {error}")
            continue
        owner = Owner.asked("" if file.ownerstring.startswith(":") else file.ownerstring, None, None)
        yield FetchedFile(file.path, file.url, file.permissions, owner, content, file.append, step.limit(30.0),
                          max(3, step.retries + 1), where)
