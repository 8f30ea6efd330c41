"""Secrets never leave their documents (C5): not when they are run, planned, validated, nor when everything fails."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.isolated import Isolated

pytestmark = pytest.mark.root

DOCUMENT = """#cloud-config
users:
- {name: bob, passwd: MARK-passwd, ssh_authorized_keys: [ssh-rsa AAAA bob]}
- {name: amy, plain_text_passwd: MARK-plain, lock_passwd: false}
write_files:
- {path: /srv/private, permissions: "0600", content: "MARK-private {{ .broken"}
- {path: /srv/undecodable, permissions: "0600", encoding: b64, content: "***MARK-undecodable"}
- {path: /srv/fetched, permissions: "0600", content: "MARK-substitute", source: {uri: "http://user:MARK-source@127.0.0.1:1/x?token=MARK-query"}}
chpasswd:
  list: ["bob:MARK-list", "stranger:MARK-stranger", "amy:$6$MARK-salt$MARK-hash"]
  users: [{name: root, password: MARK-chpasswd, type: text}, {name: nobody-there, password: MARK-nobody, type: text}, {name: cyd, password: "MARK-random", type: RANDOM}]
stages:
  s:
  - name: everything fails
    users: {eve: {passwd: MARK-eve, primary_group: nosuchgroup}, root: {passwd: MARK-root}}
    files:
    - {path: /srv/owned, permissions: 0400, content: "MARK-0400", ownerstring: stranger}
    - {path: /proc/none/x, permissions: 0600, content: "MARK-unwritable"}
    ensure_entities:
    - entity: "{kind: shadow, username: carl, password: MARK-shadow, colour: ["
    - entity: "{kind: shadow, username: carl, password: MARK-carl}"
    - entity: "{kind: nothing, password: MARK-kind}"
    - entity: "{kind: user, username: svc, password: MARK-user, uid: 800, gid: 50, group: nosuchgroup}"
    - entity: "{kind: user, username: daemon, password: MARK-daemon, uid: 1, gid: 1}"
    - entity: "{kind: group, group_name: crew, password: MARK-crew}"
    git: {url: "https://user:MARK-url@127.0.0.1:1/x.git", path: /srv/git, auth: {username: u, password: MARK-git}}
    downloads: [{url: "http://user:MARK-download@127.0.0.1:1/x", path: /srv/download}]
    systemd_firstboot: {root-password: MARK-firstboot, root-password-hashed: MARK-hashed}
    authorized_keys: {root: ["http://u:MARK-keys@127.0.0.1:1/keys"], nobody-there: [ssh-rsa AAAA x]}
  - name: a key in a key
    git: {url: "git@127.0.0.1:x.git", path: /srv/git2, auth: {private_key: "MARK-private-key", public_key: MARK-public-key}}
"""


class Watch(threading.Thread):
    """Looks at the command line and the environment of every process until it is stopped."""

    def __init__(self, machine: Isolated) -> None:
        super().__init__()
        self.machine, self.done, self.found = machine, False, set[str]()

    def run(self) -> None:
        """Look."""
        while not self.done:
            for entry in Path(f"{self.machine.root}/proc").iterdir():
                if entry.name.isdecimal():
                    self._look(entry)
            time.sleep(0.005)

    def _look(self, entry: Path) -> None:
        try:
            text = (entry / "cmdline").read_bytes()
        except OSError:
            return
        if b"MARK" in text:
            self.found.add(text.replace(b"\0", b" ").decode(errors="replace"))


def marks(text: str) -> list[str]:
    """The secrets in *text*."""
    return re.findall(r"MARK[-a-zA-Z0-9]*", text)


def test_no_mark_occurs_in_journal_ledger_plan_status_log_or_process_list(machine: Isolated) -> None:
    machine.put("/oem/90_secrets.yaml", DOCUMENT, 0o600)
    watch = Watch(machine)
    watch.start()
    try:
        said = {}
        for words in (("validate", "/oem/90_secrets.yaml"), ("plan", "--diff", "s"), ("plan", "--json", "boot"), ("run-stage", "-a", "s"), ("run-stage", "boot"), ("run-stage", "network"),
                      ("run-stage", "--json", "s"), ("run-stage", "s"), ("plan", "--diff", "boot"), ("status",), ("status", "--json", "--steps"), ("analyze", "blame")):
            code, said[words] = machine.kairos(*words)
            assert code in (0, 1), said[words]
    finally:
        watch.done = True
        watch.join()
    assert not watch.found
    for words, text in said.items():
        assert not marks(text), (words, text)
    ledgers = list(Path(f"{machine.root}/run/cos/ledger").iterdir()) + list(Path(f"{machine.root}/var/log/kairos-boot").iterdir())
    assert ledgers
    for file in ledgers:
        assert not marks(file.read_text()), file
    assert "nosuchgroup" in said[("run-stage", "s")], "the run must really have failed for this to mean anything"
    assert machine.read("/srv/private") == "MARK-private {{ .broken"
    assert machine.read("/srv/fetched") == "MARK-substitute"
    for path in ("/etc/passwd", "/etc/group"):
        assert not marks(machine.read(path)), path
    assert set(marks(machine.read("/etc/shadow") + machine.read("/etc/gshadow"))) <= {"MARK-salt", "MARK-hash"}


def test_the_kept_documents_and_the_ledger_are_not_for_everybody(machine: Isolated) -> None:
    machine.put("/oem/90_secrets.yaml", DOCUMENT, 0o600)
    time.sleep(0.1)  # what was changed a moment ago is not kept
    machine.kairos("run-stage", "s")
    assert Path(f"{machine.root}/run/kairos-boot/documents").stat().st_mode & 0o777 == 0o600
    for file in Path(f"{machine.root}/run/cos/ledger").iterdir():
        assert file.stat().st_mode & 0o777 == 0o640
