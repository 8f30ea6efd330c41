"""authorized_keys: keys added for sshd, line by line, in a directory that its user may have filled with traps (C4)."""

from __future__ import annotations

import os
import stat

from kairos_boot.actions.base import Invalid
from kairos_boot.errors import Explained, KairosError
from kairos_boot.records import record, replace
from kairos_boot.shown import one_line
from kairos_boot.system.accounts import find_account
from kairos_boot.system.atomic import EDITS, beside, clear_name, copy_attributes, put_file, sync_descriptor
from kairos_boot.system.descriptors import Held, give

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kairos_boot.actions.base import Action
    from kairos_boot.system.accounts import Account
    from kairos_boot.system.host import Host

DIRECTORY, FILE = ".ssh", "authorized_keys"
PROVIDERS = {"github": "https://github.com/{}.keys", "gitlab": "https://gitlab.com/{}.keys"}
LIMIT = 1024 * 1024
"""Bytes that a list of keys may have, fetched or in the file."""
TYPES = ("ssh-", "ecdsa-", "sk-")
OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@record
class AuthorizedKeys:
    """Keys of one user: *lines* as they stand, or what *url* gives. Lines that the file has already are left alone."""

    user: str
    lines: tuple[str, ...] = ()
    url: str = ""
    timeout: float = 30.0
    """Seconds a try to fetch may take, 0 is none (B4)."""
    tries: int = 3
    where: str = ""

    adds = True

    @property
    def subject(self) -> str:
        return f"ssh keys of {self.user}"

    def describe(self) -> str:
        """The user, and where the keys are from; no key."""
        if self.url:
            from kairos_boot.shown import shown

            return f"add the ssh keys of {shown(self.url)} for user {self.user}"
        return f"add {len(self.lines)} ssh key{'s' if len(self.lines) != 1 else ''} for user {self.user}"

    def would_change(self, host: Host) -> bool | None:
        """Whether a key is missing; None where only fetching tells, or an account that is not there yet."""
        if self.url or not self._is_there(host):
            return None
        try:
            return self._edit(host, self.lines, write=False)
        except FileNotFoundError:
            return True

    def apply(self, host: Host) -> bool:
        """Add what is missing. KairosError: no such user or home, keys that cannot be fetched, a link in place of a file."""
        with Explained(f"cannot write the ssh keys of {self.user}", self.where):
            lines = self._fetch() if self.url else self.lines
            with EDITS:
                return self._edit(host, lines, write=True)

    def _is_there(self, host: Host) -> bool:
        """Whether the account has its home; what comes before in the same plan may make it."""
        try:
            return os.path.isdir(host.real(find_account(host, self.user).home))
        except KairosError:
            return False

    def _fetch(self) -> tuple[str, ...]:
        from kairos_boot.shown import shown
        from kairos_boot.system.http import fetch

        text = fetch(self.url, limit=LIMIT, timeout=self.timeout, tries=self.tries).decode("utf-8", "replace")
        found = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
        if not all(_is_key(line) for line in found):
            raise KairosError(f"{shown(self.url)} does not give ssh keys", hint="it must give lines like ssh-ed25519 AAAA… name")
        return found

    def _edit(self, host: Host, lines: Iterable[str], *, write: bool) -> bool:
        account = find_account(host, self.user)
        if not account.home.startswith("/"):
            raise KairosError(f"user {self.user} has no home directory")
        with host.place(account.home, owner=account.uid) as place:
            if not place.is_directory:
                raise KairosError(f"the home directory of {self.user} does not exist: {account.home}")
            home, trusted = place.open(os.O_DIRECTORY), (*place.trusted, account.uid)
        with Held(home):
            _check(home, account.home, account, trusted)
            directory, changed = _open_directory(home, account, trusted, write=write)
            with Held(directory):
                return _add(directory, account, lines, write=write) or changed


def from_items(user: str, items: Iterable[tuple[str, str]], timeout: float | None = None, retries: int = 0) -> Iterator[Action]:
    """The actions for a user's list of keys and addresses of keys, each with its place; literal keys in a row are one.

    *timeout* and *retries* are the step's, for what is fetched.
    """
    lines: list[str] = []
    first = ""
    for item, where in items:
        text = item.strip()
        keys = [line.strip() for line in text.splitlines() if line.strip()]
        scheme, colon, rest = text.partition(":")
        address = bool(colon) and len(keys) == 1 and _is_scheme(scheme) and not any(c.isspace() for c in text)
        if keys and not address and any(c.isspace() for c in text):
            first = first or where
            lines.extend(keys)
            continue
        if lines:
            yield AuthorizedKeys(user, tuple(lines), where=first)
            lines, first = [], ""
        if address:
            action = _remote(user, text, scheme.lower(), rest, where)
            yield replace(action, timeout=30.0 if timeout is None else timeout, tries=max(3, retries + 1)) if isinstance(action, AuthorizedKeys) else action
        elif keys:
            yield Invalid(where, f"an item for {one_line(user)} is neither an ssh key nor an address", "write a whole key line, github:NAME, gitlab:NAME or a URL")
    if lines:
        yield AuthorizedKeys(user, tuple(lines), where=first)


def _remote(user: str, text: str, scheme: str, rest: str, where: str) -> Action:
    if scheme in ("http", "https"):
        return AuthorizedKeys(user, url=text, where=where)
    if scheme not in PROVIDERS:
        return Invalid(where, f"ssh keys cannot be fetched from {scheme}:", "known are github:NAME, gitlab:NAME, http and https")
    if not rest or not rest.isascii() or not rest.replace("-", "").replace("_", "").replace(".", "").isalnum():
        return Invalid(where, f"not a name at {scheme}: {rest!r}")
    return AuthorizedKeys(user, url=PROVIDERS[scheme].format(rest), where=where)


def _is_scheme(text: str) -> bool:
    return text[:1].isalpha() and text.isascii() and all(c.isalnum() or c in "+-." for c in text)


def _is_key(line: str) -> bool:
    """Whether a fetched line is a key, perhaps with options before it."""
    words = line.split()
    return any(word.startswith(TYPES) for word in words[:-1])


def _check(directory: int, path: str, account: Account, trusted: Iterable[int]) -> None:
    """KairosError: the open *directory* belongs to another user, who could put other keys in place of these (C12)."""
    owner = os.fstat(directory).st_uid
    if owner not in trusted:
        raise KairosError(f"unsafe path: {path} belongs to user {owner}, not to {account.name}", hint="give it to that user, or the user another home")


def _open_directory(home: int, account: Account, trusted: Iterable[int], *, write: bool) -> tuple[int, bool]:
    """The open `.ssh` of *account*, its owner mended; True if something changed."""
    made = False
    try:
        fd = os.open(DIRECTORY, OPEN | os.O_DIRECTORY, dir_fd=home)
    except FileNotFoundError:
        if not write:
            raise
        os.mkdir(DIRECTORY, 0o700, dir_fd=home)
        fd, made = os.open(DIRECTORY, OPEN | os.O_DIRECTORY, dir_fd=home), True
    except OSError as error:
        raise KairosError(f"{account.home}/{DIRECTORY} is not a directory; it is left as it is", hint="remove the link or file") from error
    try:
        _check(fd, f"{account.home}/{DIRECTORY}", account, trusted)
    except KairosError:
        os.close(fd)
        raise
    now = os.fstat(fd)
    mend = (now.st_uid, now.st_gid) != (account.uid, account.gid)
    if write and (mend or made):
        give(fd, account.uid, account.gid)
        if made:
            os.fchmod(fd, 0o700)
    return fd, mend or made


def _add(directory: int, account: Account, lines: Iterable[str], *, write: bool) -> bool:
    """Add the missing *lines* to the file; True if there are any.

    A line with options takes the place of the same key without any: sshd looks no further than at the first line of a key.
    """
    old = _open_file(directory, account)
    try:
        return _add_to(directory, old, account, lines, write=write)
    finally:
        if old >= 0:
            os.close(old)


def _add_to(directory: int, old: int, account: Account, lines: Iterable[str], *, write: bool) -> bool:
    kept = _read(old, account).decode("utf-8", "surrogateescape").split("\n")
    known = {line.strip() for line in kept}
    new = [line for line in dict.fromkeys(lines) if line not in known]
    for line in new:
        options, key = _parts(line)
        place = next((index for index, other in enumerate(kept) if options and _parts(other) == (False, key)), None) if key else None
        if place is None:
            kept[len(kept) - (kept[-1] == ""):] = [line, ""]
        else:
            kept[place] = line
            kept = [other for index, other in enumerate(kept) if index <= place or _parts(other) != (False, key)]
    if new and write:
        _replace(directory, old, account, "\n".join(kept).encode("utf-8", "surrogateescape"))
    if not new and write:
        clear_name(directory, beside(FILE))  # what a cut run left
    return bool(new)


def _parts(line: str) -> tuple[bool, str]:
    """Whether a line has options before its key, and the key itself, empty where there is none."""
    words = line.split()
    for index, word in enumerate(words[:-1]):
        if word.startswith(TYPES) and words[index + 1].startswith("AAAA"):
            return index > 0, words[index + 1]
    return False, ""


def _open_file(directory: int, account: Account) -> int:
    """The file that is there, open, or -1. KairosError: it is a link, or something else that must not be read as root."""
    path = f"{account.home}/{DIRECTORY}/{FILE}"
    try:
        fd = os.open(FILE, OPEN | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return -1
    except OSError as error:
        raise KairosError(f"{path} is not a plain file; it is left as it is", hint="remove the link") from error
    now = os.fstat(fd)
    if not stat.S_ISREG(now.st_mode) or (now.st_nlink > 1 and now.st_uid != account.uid):
        os.close(fd)
        raise KairosError(f"{path} is not a plain file of {account.name}; it is left as it is", hint="remove it")
    return fd


def _read(old: int, account: Account) -> bytes:
    """Content of the file that is there, nothing where none is. KairosError: it is too large."""
    if old < 0:
        return b""
    with open(old, "rb", closefd=False) as file:
        content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise KairosError(f"{account.home}/{DIRECTORY}/{FILE} is larger than {LIMIT} bytes; it is left as it is")
    return content


def _replace(directory: int, old: int, account: Account, content: bytes) -> None:
    """Put a complete file in place; names are only ever looked up in the open directory.

    It is the user's, or sshd could not read it; everything else is as the *old* one has it.
    """
    mode, group = 0o600, account.gid
    if old >= 0:
        now = os.fstat(old)
        mode, group = stat.S_IMODE(now.st_mode), now.st_gid if now.st_uid == account.uid else account.gid
    put_file(directory, FILE, content, mode, account.uid, group, lambda fd: copy_attributes(old, fd))
    sync_descriptor(directory)
