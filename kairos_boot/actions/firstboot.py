"""systemd-firstboot: basic settings of an image, by systemd's own tool. Passwords reach it by file, never by its arguments (C5)."""

from __future__ import annotations

import os

from kairos_boot.errors import Explained, KairosError
from kairos_boot.records import NOTHING, record
from kairos_boot.system.keyvalue import lines
from kairos_boot.system.private import DIRECTORY
from kairos_boot.system.scratch import Scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kairos_boot.system.host import Host

PASSWORD, HASH = "root-password", "root-password-hashed"
CREDENTIAL = "passwd.hashed-password.root"
"""Where systemd-firstboot looks for a hash when it is given no password, see systemd-firstboot(1)."""
LOCALE = ("/etc/default/locale", "/etc/locale.conf")
"""Where it writes the locale: Debian's own file, everybody's."""
WRITES = (*LOCALE, "/etc/vconsole.conf", "/etc/hostname", "/etc/machine-id", "/etc/passwd", "/etc/shadow", "/etc/kernel/cmdline")
ABOUT = ("force", "welcome")
"""Options that set nothing themselves."""


@record
class FirstBoot:
    """One call with *options*: `true` is an option without a value."""

    options: Mapping[str, str] = NOTHING
    timeout: float = 0
    where: str = ""

    def describe(self) -> str:
        """The command, without passwords."""
        return " ".join(_argv({key: "(secret)" if key in (PASSWORD, HASH) else value for key, value in self.options.items()}))

    def would_change(self, host: Host) -> bool | None:
        known = [_holds(host, key, value) for key, value in self.options.items() if key not in ABOUT]
        return None if None in known else not all(known)

    def apply(self, host: Host) -> bool:
        """Run the tool unless all is as wanted; it leaves what is set, unless `force` says otherwise. KairosError: it failed."""
        if self.would_change(host) is False:
            return False
        given = {key: value for key, value in self.options.items() if key not in (PASSWORD, HASH)}
        secret = "" if HASH in self.options else self.options.get(PASSWORD, "")
        if HASH in self.options:
            given["prompt-root-password"] = "true"  # else it does not look at the credential; finding that, it asks nobody
        elif secret:
            given["root-password-file"] = "/dev/stdin"
        before = _state(host)
        with Explained("cannot hand the root password to systemd-firstboot", self.where):
            self._run(host, _argv(given), secret)
        return _state(host) != before

    def _run(self, host: Host, argv: tuple[str, ...], secret: str) -> None:
        stdin = f"{secret}\n".encode() if secret else b""
        if HASH not in self.options:
            self._call(host, argv, stdin, {})
            return
        with Scratch(host, "firstboot", DIRECTORY) as scratch:
            fd = os.open(f"{scratch.here}/{CREDENTIAL}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
            with open(fd, "wb") as file:
                file.write(self.options[HASH].encode())
            self._call(host, argv, stdin, {"CREDENTIALS_DIRECTORY": scratch.path})

    def _call(self, host: Host, argv: tuple[str, ...], stdin: bytes, env: Mapping[str, str]) -> None:
        try:
            result = host.processes.run(argv, timeout=self.timeout, env={"LC_ALL": "C", **env}, stdin=stdin)
        except KairosError as error:
            raise KairosError(error.message, self.where, "it is part of systemd; some distributions package it on its own") from error
        if result.code or result.timed_out:
            said = f"\n{result.output.strip()}" if result.output.strip() else ""
            raise KairosError(f"{self.describe()}: {result.explain(self.timeout)}{said}", self.where)


def _argv(options: Mapping[str, str]) -> tuple[str, ...]:
    return ("systemd-firstboot", *sorted(f"--{key}" if value == "true" else f"--{key}={value}" for key, value in options.items()))


def _holds(host: Host, key: str, value: str) -> bool | None:
    """Whether the setting is as wanted; None where that cannot be told."""
    if key in ("locale", "locale-messages", "keymap"):
        name = {"locale": "LANG", "locale-messages": "LC_MESSAGES", "keymap": "KEYMAP"}[key]
        paths = ("/etc/vconsole.conf",) if key == "keymap" else LOCALE
        return any((name, value) == part[:2] for path in paths for part in lines(_text(host, path)))
    if key in ("hostname", "machine-id", "kernel-command-line"):
        return _text(host, "/etc/kernel/cmdline" if key == "kernel-command-line" else f"/etc/{key}").strip() == value
    if key == "timezone":
        return _link(host, "/etc/localtime").endswith(f"/zoneinfo/{value}")
    if key == "root-shell":
        return _field(host, "/etc/passwd", 6) == value
    if key == HASH:
        return _field(host, "/etc/shadow", 1) == value
    if key == PASSWORD:
        from kairos_boot.system.passwords import verify

        return verify(value, _field(host, "/etc/shadow", 1))
    return None


def _text(host: Host, path: str) -> str:
    return (host.read(path) or b"").decode("utf-8", "surrogateescape")


def _link(host: Host, path: str) -> str:
    try:
        return os.readlink(host.entry(path))
    except OSError:
        return ""


def _field(host: Host, path: str, number: int) -> str:
    root = next((line.split(":") for line in _text(host, path).split("\n") if line.startswith("root:")), [])
    return root[number] if len(root) > number else ""


def _state(host: Host) -> tuple[object, ...]:
    return (_link(host, "/etc/localtime"), *(host.read(path) for path in WRITES))
