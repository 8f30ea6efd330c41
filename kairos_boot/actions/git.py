"""A git repository checked out as its remote has it, through the git program (docs/reference/git.md)."""

from __future__ import annotations

import os

from kairos_boot.actions.files import DIRECTORY_MODE
from kairos_boot.errors import Explained, KairosError
from kairos_boot.records import record
from kairos_boot.shown import masked, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kairos_boot.system.host import Host

HELPER = 'f() { [ "$1" != get ] || printf "username=%s\\npassword=%s\\n" "$KAIROS_GIT_USER" "$KAIROS_GIT_PASSWORD"; }; f'
"""A credential helper: git asks it over a pipe, so that no argument and no file holds the password (C5)."""
PLAIN = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_ADVICE": "0"}


@record
class Access:
    """How the repository is reached. *host_key* is a line of known_hosts or an OpenSSH public key of the server."""

    username: str = ""
    password: str = ""
    private_key: str = ""
    host_key: str = ""
    insecure: bool = False


@record
class CheckOut:
    """*path* holds the newest commit of *branch* (empty: the remote's own); what else was changed there is discarded."""

    url: str
    path: str
    branch: str = ""
    only: bool = False
    """Fetch no other branch."""
    access: Access = Access()
    timeout: float = 0
    retries: int = 0
    where: str = ""

    def describe(self) -> str:
        """Repository, branch and path; a URL's password is no part of it."""
        return f"check out {self.branch or 'the default branch'} of {shown(self.url)} into {self.path}"

    def would_change(self, host: Host) -> bool | None:
        """Whether there is no repository yet; else only the remote tells."""
        _check(host, self)
        return None if host.exists(f"{self.path}/.git") else True

    def apply(self, host: Host) -> bool:
        """Clone or update. KairosError: with git's own words; the old files are there unless git was changing them."""
        with Explained(f"cannot prepare {self.path}", self.where), _Keys(self.access) as keys:
            return _Git(self, host, keys).update()


def _check(host: Host, wanted: CheckOut) -> None:
    """KairosError: the work tree is not root's, and git, run by root, would obey what its owner writes into `.git` (C12)."""
    for path in (wanted.path, f"{wanted.path}/.git"):
        with host.place(path) as place:
            owner = place.heir()[0] if place.status is None else place.status.st_uid
            if owner not in place.trusted:
                raise KairosError(f"{path} belongs to user {owner}, whom git must not obey as root", wanted.where, "choose a directory of root")


def clear(path: str) -> None:
    """Remove the locks and temporary files that a git which was ended left in the work tree *path*; not those of one that runs."""
    found = []
    for directory, names, files in os.walk(f"{path}/.git"):
        names[:] = [name for name in names if name not in ("hooks", "info", "logs")]
        found += [f"{directory}/{name}" for name in files if name.endswith(".lock") or (name.startswith("tmp_") and "/objects" in directory)]
    if found and not _runs(path):
        for name in found:
            os.unlink(name)


def _runs(path: str) -> bool:
    """Whether a git works in the tree *path*."""
    for process in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
                if file.read().startswith("git") and f"{os.readlink(f'/proc/{process}/cwd')}/".startswith(f"{path}/"):
                    return True
        except OSError:
            continue  # it has ended
    return False


class _Keys:
    """The private key and the server's key as files that are nowhere: in memory, readable through this process alone."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.descriptors: list[int] = []

    def __enter__(self) -> _Keys:
        return self

    def __exit__(self, *error: object) -> None:
        for fd in self.descriptors:
            os.close(fd)

    def file(self, text: str) -> str:
        """A path at which ssh, which closes what it inherits, finds *text* while this process lives."""
        fd = os.memfd_create("key")
        self.descriptors.append(fd)
        os.fchmod(fd, 0o600)  # else ssh refuses the key
        os.write(fd, text.strip().encode() + b"\n")
        return f"/proc/{os.getpid()}/fd/{fd}"

    def environment(self, url: str) -> Iterator[tuple[str, str]]:
        """What git is told about access, by environment: `git config` would write it down."""
        access, settings = self.access, [("credential.helper", "")]
        if access.password or (access.username and url.startswith("http")):  # a token may stand for both
            yield "KAIROS_GIT_USER", access.username
            yield "KAIROS_GIT_PASSWORD", access.password
            scope = "/".join(url.split("/", 3)[:3])  # this server only: another one that it redirects to gets nothing
            settings.append((f"credential.{scope}.helper", f"!{HELPER}"))
        if access.insecure:
            settings.append(("http.sslVerify", "false"))
        for number, (name, value) in enumerate(settings):
            yield f"GIT_CONFIG_KEY_{number}", name
            yield f"GIT_CONFIG_VALUE_{number}", value
        yield "GIT_CONFIG_COUNT", str(len(settings))
        yield "GIT_SSH_COMMAND", " ".join(self._ssh(url))

    def _ssh(self, url: str) -> Iterator[str]:
        access = self.access
        yield "ssh -o BatchMode=yes"
        if access.insecure:
            yield "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        else:
            yield "-o StrictHostKeyChecking=yes"
            if access.host_key:
                yield f"-o UserKnownHostsFile={self.file(known_host(access.host_key))} -o GlobalKnownHostsFile=/dev/null"
        if access.private_key:
            yield f"-o IdentitiesOnly=yes -i {self.file(access.private_key)}"
        if access.username or "@" not in url:
            yield f"-l {_quoted(access.username or 'git')}"


class _Git:
    """One update, command by command."""

    def __init__(self, wanted: CheckOut, host: Host, keys: _Keys) -> None:
        self.wanted, self.host = wanted, host
        self.environment: Mapping[str, str] = {**PLAIN, **dict(keys.environment(wanted.url))}

    def __call__(self, *words: str, check: bool = True) -> str:
        """Run git in the work tree and return what it says. KairosError: it failed, unless *check* is off."""
        wanted = self.wanted
        argv = ("git", "-C", wanted.path, *words)
        remote = words[0] in ("fetch", "ls-remote")
        for attempt in range(wanted.retries + 1 if remote else 1):
            try:
                result = self.host.processes.run(argv, timeout=wanted.timeout, env=self.environment)
            except KairosError as error:
                raise KairosError(error.message, wanted.where, "the key git needs the git program on the node") from error
            if not result.code and not result.timed_out:
                return result.output.strip()
            if not check:
                return ""
            if attempt == wanted.retries or not remote:
                break
        said = result.output.strip()
        token = "" if wanted.access.password else wanted.access.username
        from urllib.parse import quote

        for secret in filter(None, (wanted.access.password, wanted.access.private_key, token if wanted.url.startswith("http") else "")):
            said = said.replace(secret, "(secret)").replace(quote(secret, safe=""), "(secret)")
        raise KairosError(f"git {words[0]} of {shown(wanted.url)} into {wanted.path}: {result.explain(wanted.timeout)}" + (f"\n{masked(said)}" if said else ""), wanted.where)

    def update(self) -> bool:
        """Compare with the remote, fetch and reset where something differs."""
        wanted = self.wanted
        _check(self.host, wanted)
        parts = [f"{wanted.path}/.git/{name}" for name in ("HEAD", "config", "objects", "refs")]
        new = not all(map(self.host.exists, parts))  # a clone that was cut off is begun again
        with self.host.place(wanted.path) as place:
            place.make_directory(DIRECTORY_MODE, None, None)
            clear(place.path)
        if new:
            self("init", "-q")
        if self("config", "--get", "remote.origin.url", check=False) != wanted.url:
            self("remote", "remove", "origin", check=False)
            self("remote", "add", "origin", wanted.url)
        branch, commit, kind = self._remote()
        if not new and self._is_at(branch, commit, kind):
            return False
        heads = f"+refs/heads/{branch}:refs/remotes/origin/{branch}" if wanted.only else "+refs/heads/*:refs/remotes/origin/*"
        self("fetch", "-q", "--no-recurse-submodules", "origin", *((heads,) if kind == "heads" else (heads, f"+refs/tags/{branch}:refs/tags/{branch}")[wanted.only:]))
        if kind == "heads":
            self("checkout", "-q", "-f", "-B", branch, f"refs/remotes/origin/{branch}", "--")
            self("config", f"branch.{branch}.remote", "origin")
            self("config", f"branch.{branch}.merge", f"refs/heads/{branch}")
        else:
            self("checkout", "-q", "-f", "--detach", f"refs/tags/{branch}", "--")
        return True

    def _remote(self) -> tuple[str, str, str]:
        """Name, commit and kind (`heads` or `tags`) of what the remote has. KairosError: it has no such branch."""
        wanted = self.wanted
        if not wanted.branch:
            lines = self("ls-remote", "--symref", "origin", "HEAD").splitlines()
            name = next((line.split()[1].removeprefix("refs/heads/") for line in lines if line.startswith("ref: ")), "")
            commit = next((line.split()[0] for line in lines if line.endswith("\tHEAD") and not line.startswith("ref: ")), "")
            if not name or not commit:
                raise KairosError(f"{shown(wanted.url)} has no default branch", wanted.where, "name one with `branch`")
            return name, commit, "heads"
        found = {}
        for line in self("ls-remote", "origin", f"refs/heads/{wanted.branch}", f"refs/tags/{wanted.branch}", f"refs/tags/{wanted.branch}^{{}}").splitlines():
            commit, _, name = line.partition("\t")
            found[name] = commit
        for kind in ("heads", "tags"):
            name = f"refs/{kind}/{wanted.branch}"
            if name in found:
                return wanted.branch, found.get(name + "^{}", found[name]), kind
        raise KairosError(f"{shown(wanted.url)} has no branch {wanted.branch!r}", wanted.where)

    def _is_at(self, branch: str, commit: str, kind: str) -> bool:
        if self("rev-parse", "--verify", "-q", "HEAD", check=False) != commit:
            return False
        if kind == "heads" and self("symbolic-ref", "-q", "HEAD", check=False) != f"refs/heads/{branch}":
            return False
        return not self("status", "--porcelain", "--untracked-files=no")


def _quoted(word: str) -> str:
    quote = "'"
    return quote + word.replace(quote, "'\\''") + quote


def known_host(key: str) -> str:
    """A line of known_hosts; a key alone counts for the one server that is asked."""
    words = key.split()
    return key.strip() if len(words) > 2 and not is_key_type(words[0]) else f"* {key.strip()}"


def is_key_type(word: str) -> bool:
    return word.startswith(("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"))
