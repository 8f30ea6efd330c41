"""What an installation leaves on COS_OEM: the user's configuration as it was written (F2), and what the section `install` asks for there."""

from __future__ import annotations

from kairos_boot.cloudconfig.nodes import MAPPING
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import survey
from kairos_boot.node import grubenv
from kairos_boot.node.config import from_cmdline
from kairos_boot.node.sections import understood
from kairos_boot.node.settings import Setting, listing, mapping
from kairos_boot.node.yamltext import dump, quoted
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from kairos_boot.node.config import Config
    from kairos_boot.system.host import Host

ONCE = frozenset(("install", "config_url", "debug", "strict", "eject-cd", "cosign", "verify", "cosign-key"))
"""Settings of the kernel command line that count for the installation alone."""
LIMIT = 9
"""So many documents of `install.cloud-init`: their names, and that of the configuration behind them, are 90 to 99."""
MOUNTS, HARDENING, BLOCK = "10_user_custom_mounts.yaml", "10_ssh_hardening.yaml", "grubenv"
SSHD = """\
#cloud-config
name: "SSH hardening"
stages:
  initramfs:
    - name: "Let nobody guess at the door"
      files:
        - path: /etc/ssh/sshd_config.d/01-kairos-hardening.conf
          permissions: 0600
          content: |
            PermitRootLogin no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitEmptyPasswords no
            MaxAuthTries 3
            LoginGraceTime 30
            X11Forwarding no
            AllowAgentForwarding no
            AllowTcpForwarding no
            PermitTunnel no
            ClientAliveInterval 300
            ClientAliveCountMax 3
            KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,diffie-hellman-group-exchange-sha256
            Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr
            MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com
"""


@record
class PutFiles:
    """Small files in *directory*: name, content and mode of each. What they say may be secret, so no plan prints it."""

    directory: str
    files: tuple[tuple[str, bytes, int], ...]

    def describe(self) -> str:
        """Their names."""
        return f"write to {self.directory}: {', '.join(f'{name} ({mode:04o})' for name, _, mode in self.files)}"

    def would_change(self, host: Host) -> bool | None:
        """Whether one of them is another one."""
        return any(host.read(f"{self.directory}/{name}") != content for name, content, _ in self.files)

    def apply(self, host: Host) -> bool:
        """Write each, complete and durable. KairosError: no room, or the disk fails."""
        from kairos_boot.errors import reason
        from kairos_boot.system.atomic import write_file

        for name, content, mode in self.files:
            path = f"{self.directory}/{name}"
            try:
                write_file(host.path(path), content, mode)
            except OSError as error:
                raise KairosError(f"cannot be written: {reason(error)}", path, "make its partition larger: install.partitions") from error
        return bool(self.files)


def documents(config: Config, cmdline: str, read: Callable[[str], bytes]) -> list[tuple[str, bytes, int]]:
    """The files of COS_OEM. *read* gets a path or an address. KairosError: one cannot be had, or contradicts another (G1)."""
    settings = understood(config.settings, "install")
    install = mapping(settings.get("install"))
    more = [str(item) for item in listing(install.get("cloud-init"))]
    if len(more) > LIMIT:
        raise KairosError(f"{len(more)} documents are more than can be ordered by their names: at most {LIMIT}", "install.cloud-init", "put some of them together")
    found = [(f"9{at}_custom.yaml", _content(path, read), 0o640) for at, path in enumerate(more)]
    text = custom(config, cmdline)
    if text:
        found.append((f"9{len(more)}_custom.yaml", text, 0o640))
    mounts = custom_mounts(_words(install, "bind_mounts"), _words(install, "ephemeral_mounts"))
    if mounts:
        found.append((MOUNTS, mounts, 0o400))
    if install.get("ssh_hardening") is True:
        if not _has_key(settings):
            raise KairosError("with ssh_hardening nobody logs in with a password, and no user has a key", "install.ssh_hardening", "add ssh_authorized_keys to a user")
        found.append((HARDENING, SSHD.encode(), 0o600))
    return [*found, (BLOCK, grubenv.changed(b"", grub_options(install), "install.grub_options"), 0o644)]


def grub_options(settings: Mapping[str, Any]) -> dict[str, str]:
    """Variables for the boot loader: `grub_options` of a document's root, or of `install`."""
    return {str(name): _text(value) for name, value in mapping(settings.get("grub_options")).items() if value not in (None, "")}


def custom(config: Config, cmdline: str) -> bytes:
    """The user's configuration: the one document byte for byte; of several their merge, each scalar as it was written."""
    alone = set(from_cmdline(cmdline).value) <= ONCE
    if len(config.texts) == 1 and alone:
        return next(iter(config.texts.values()))
    values = dict(config.settings.value)
    if any(" (config_url of " in source for source in config.texts):
        values.pop("config_url", None)  # it is in here now; read again its lists would be there twice
    if not values:
        return b""
    sources = "".join(f"# - {source}\n" for source in config.sources)
    return f"#cloud-config\n\n# Merged at the installation from:\n{sources}\n{dump(Setting(MAPPING, values, ''))}".encode("utf-8", "surrogateescape")


NOT_LAID = ("/", "/dev", "/proc", "/run", "/sys")
"""What the layout of a node leaves out (docs/root.md)."""


def custom_mounts(binds: Sequence[str], ephemeral: Sequence[str]) -> bytes:
    """The step by which the paths of `bind_mounts` and `ephemeral_mounts` come into the node's layout; nothing for none."""
    if not binds and not ephemeral:
        return b""
    for path in (*binds, *ephemeral):
        if not path.startswith("/") or any(char in path for char in " \t\n\"'$`\\"):
            raise KairosError(f"not a directory that can be mounted: {path!r}", "install.bind_mounts", "an absolute path without blanks and quotes")
        if "/" + path.strip("/").partition("/")[0] in NOT_LAID:
            raise KairosError(f"{path} is not for a layout", "install.bind_mounts", f"name a directory below the root that is none of {' '.join(NOT_LAID[1:])}")
    words = [f"{name}: {quoted(' '.join(paths))}" for name, paths in (("CUSTOM_BIND_MOUNTS", binds), ("CUSTOM_EPHEMERAL_MOUNTS", ephemeral)) if paths]
    lines = "\n".join(f"        {word}" for word in words)
    return ('#cloud-config\nname: "Mounts of this node\'s owner"\nstages:\n  rootfs:\n    - name: "Keep the paths that were chosen at the installation"\n'
            f"      environment_file: /run/cos/custom-layout.env\n      environment:\n{lines}\n").encode()


def _content(path: str, read: Callable[[str], bytes]) -> bytes:
    try:
        return read(path)
    except OSError as error:
        raise KairosError((error.strerror or str(error)).lower(), path, "install.cloud-init names paths and addresses") from error


def _has_key(settings: Mapping[str, Any]) -> bool:
    steps, users = survey.steps_and_users(settings)
    return any(user.get("ssh_authorized_keys") for user in users) or any(step.get("authorized_keys") for step in steps)


def _words(install: Mapping[str, Any], key: str) -> list[str]:
    return [str(item) for item in listing(install.get(key))]


def _text(value: object) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
