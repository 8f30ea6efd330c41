"""Secrets never leave their documents (C5): not when they are run, planned, validated, nor when everything fails.

MARK stands for a secret in each place where a document, a command line, an address or an existing file may hold one; every verb, the
record, the journal, the archive, what is left over and the process list are searched for it. A new place is a new row.
"""

from __future__ import annotations

import json
import re
import socket
import tarfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.isolated import PROGRAM
from tests.unit.test_shown import LOGINS, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.isolated import Isolated

pytestmark = pytest.mark.root

CLASSIC = """#cloud-config
users:
- {name: bob, passwd: MARK-passwd, ssh_authorized_keys: [ssh-rsa AAAA bob]}
- {name: amy, plain_text_passwd: MARK-plain, lock_passwd: false}
chpasswd:
  list: ["bob:MARK-list", "stranger:MARK-stranger", "amy:$6$MARK-salt$MARK-hash"]
  users: [{name: root, password: MARK-chpasswd, type: text}, {name: nobody-there, password: MARK-nobody, type: text}, {name: cyd, password: "MARK-random", type: RANDOM}]
write_files:
- {path: /srv/private, permissions: "0600", content: "MARK-private {{ .broken"}
- {path: /srv/undecodable, permissions: "0600", encoding: b64, content: "***MARK-undecodable"}
- {path: /srv/fetched, permissions: "0600", content: "MARK-substitute", source: {uri: "http://user:MARK-source@127.0.0.1:8000/x?token=MARK-query"}}
"""
STEPS = {
    "user with a wrong group": "users: {eve: {passwd: MARK-eve, primary_group: nosuchgroup}, root: {passwd: MARK-root}}",
    "file of a stranger": 'files: [{path: /srv/owned, permissions: 0400, content: "MARK-0400", ownerstring: stranger}]',
    "file that cannot be written": 'files: [{path: /proc/none/x, permissions: 0600, content: "MARK-unwritable"}]',
    "file that was there": "files: [{path: /srv/wg0.conf, content: 'PrivateKey = MARK-new'}]",
    "template that fails": """files: [{path: /srv/t1, permissions: 0600, content: '{{ fail "MARK-fail" }}'}, {path: /srv/t2, permissions: 0600, content: '{{ MARK }}'}]""",
    "entities": """ensure_entities: [{entity: "{kind: shadow, username: carl, password: MARK-shadow, colour: ["}, {entity: "{kind: shadow, username: carl, password: MARK-carl}"},
        {entity: "{kind: nothing, password: MARK-kind}"}, {entity: "{kind: user, username: svc, password: MARK-user, uid: 800, gid: 50, group: nosuchgroup}"},
        {entity: "{kind: user, username: daemon, password: MARK-daemon, uid: 1, gid: 1}"}, {entity: "{kind: group, group_name: crew, password: MARK-crew}"},
        {entity: "{kind: shadow, username: carl, password: '{{ MARK }}'}"}]""",
    "git over https": 'git: {url: "https://user:MARK-url@127.0.0.1:8000/x.git", path: /srv/git, auth: {username: u, password: MARK-git}}',
    "git with a token": 'git: {url: "http://127.0.0.1:8000/x.git", path: /srv/git4, auth: {username: MARK-token}}',
    "git with a slash": 'git: {url: "http://bob:MARK/git@127.0.0.1:8000/r.git", path: /srv/git3, branch: main}',
    "git with keys": 'git: {url: "git@127.0.0.1:x.git", path: /srv/git2, auth: {private_key: "MARK-private-key", public_key: MARK-public-key}}',
    "downloads": """downloads: [{url: "http://user:MARK-download@127.0.0.1:8000/x?sig=MARK", path: /srv/download}, {url: "http://user:12/MARK@127.0.0.1:8000/x", path: /srv/d2},
        {url: "http://user:MA/MARK@127.0.0.1:8000/x#MARK", path: /srv/d3}]""",
    "images": "unpack_images: [{source: 'docker://u:MARK@127.0.0.1:8000/x', target: /srv/i}, {source: 'u:MARK@h/x y', target: /srv/i}]",
    "first boot": "systemd_firstboot: {root-password: MARK-firstboot, root-password-hashed: MARK-hashed}",
    "keys": 'authorized_keys: {root: ["http://u:MARK-keys@127.0.0.1:8000/keys?t=MARK"], nobody-there: [ssh-rsa AAAA x]}',
    "provider": "datasource: {providers: ['config-url:http://u:MARK@127.0.0.1:8000/x?t=MARK', 'file'], path: /srv/nothing}",
}
"""Of each key that may hold a secret a step that fails where it can; one that is also in a process list until git reads more than an address is not here."""
SEEN_BY_PS = {
    "git with a query": 'git: {url: "http://127.0.0.1:8000/r.git?access_token=MARK", path: /srv/git5, branch: main}',
    **{f"command {number}": f"commands: [{json.dumps('exit 3; ' + text)}]" for number, text in enumerate(LOGINS)},
    **{f"condition {number}": f"if: {json.dumps('test -e /none && ' + text)}" for number, text in enumerate(LOGINS)},
    "what a shell says": "commands: ['set -x; : curl -u admin:MARK x; exit 3', 'set -x; : curl -u admin:MARK x']",
    "many lines": 'commands: ["curl -u a:MARK x\\nexit 3"]',
    "lines over a time limit": 'commands: ["sleep 9; curl --password MARK x"]\n    timeout: 1',
}
"""What the caller's own command line holds is in the process list, and nothing can be done about it."""
BROKEN = {"alias": "passwd: *MARK-alias\n", "scalar": 'passwd: "MARK-open\n', "tab": "users:\n\t- MARK\n"}
URL = "http://u:MARK@127.0.0.1:8000/x?t=MARK"
SERVED = "http://u:MARK@127.0.0.1:8000/x.yaml?t=MARK#MARK"
CMDLINE = " ".join(["quiet", *(word for word in WORDS if not any(part in word for part in ("open", "config_url", "cos.setup", ".commands", ".hostname", "stages.a")))])
VERBS = (("validate", "/oem"), ("plan", "--diff", "s"), ("plan", "--json", "--diff", "boot"), ("run-stage", "-a", "s"), ("run-stage", "boot"), ("run-stage", "network"), ("run-stage", "--json", "s"),
         ("run-stage", "s"), ("plan", "--diff", "boot"), ("status",), ("status", "--steps"), ("status", "--json"), ("analyze", "blame"), ("analyze", "--svg", "-"),
         ("validate", "--json", "/oem"), ("logs", "-o", "/srv/logs.tar.gz"))


class Watch(threading.Thread):
    """Reads the journal's socket, and looks at the command line of every process, until it is stopped."""

    def __init__(self, machine: Isolated) -> None:
        super().__init__()
        self.machine, self.done, self.found, self.journal = machine, False, set[str](), b""
        (machine.root / "run/systemd/journal").mkdir(parents=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"{machine.root}/run/systemd/journal/socket")
        self.socket.settimeout(0.005)

    def run(self) -> None:
        """Look."""
        while not self.done:
            for entry in Path(f"{self.machine.root}/proc").iterdir():
                if entry.name.isdecimal():
                    self._look(entry)
            try:
                while True:
                    self.journal += self.socket.recv(1 << 20)
            except TimeoutError:
                pass

    def _look(self, entry: Path) -> None:
        try:
            text = (entry / "cmdline").read_bytes()
        except OSError:
            return
        if b"MARK" in text and b"kairos_boot" not in text:
            self.found.add(text.replace(b"\0", b" ").decode(errors="replace"))

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done = True
        self.join()
        self.socket.close()


@pytest.fixture(autouse=True)
def web(machine: Isolated) -> Iterator[None]:
    """A server that has nothing but a document, so that what is asked for fails at once and not after three tries."""
    machine.put("/srv/web/x.yaml", "name: served\nstages: {s: [{name: a, commands: ['exit 3']}, {nmae: b}]}\n")
    server = machine.serve("python3", "-m", "http.server", "-d", "/srv/web", "8000")
    assert machine.run("sh", "-c", "for i in $(seq 200); do python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8000))' 2>/dev/null && exit; done; exit 1") == (0, "")
    yield
    server.kill()
    server.wait()


def marks(text: str) -> list[str]:
    """The secrets in *text*, with what is around them."""
    return re.findall(r".{0,80}MARK.{0,20}", text)


def said(machine: Isolated, *calls: tuple[str, ...]) -> dict[tuple[str, ...], str]:
    """What each call printed; it ends as documented."""
    found = {}
    for words in calls:
        code, found[words] = machine.run("env", "INVOCATION_ID=x", *PROGRAM, *words)  # as a unit, whose messages the journal gets
        assert code in (0, 1), found[words]
        assert "Traceback" not in found[words], found[words]
    return found


def search(machine: Isolated, texts: dict[tuple[str, ...], str], watch: Watch) -> None:
    """No secret in what was printed, journalled, recorded, packed, or left over."""
    for words, text in texts.items():
        assert not marks(text), words
    assert not marks(watch.journal.decode("utf-8", "replace"))
    assert list((machine.root / "run/cos/ledger").iterdir())
    assert list((machine.root / "var/log/kairos-boot").iterdir())
    for folder in ("run", "tmp", "var/log", "var/tmp"):
        for file in (machine.root / folder).rglob("*"):
            if file.is_file() and not file.is_symlink() and "run/code/" not in str(file) and file.name not in ("documents", "passwd", "shadow"):
                assert not marks(file.read_bytes().decode("utf-8", "replace")), file
    archive = machine.root / "srv/logs.tar.gz"
    if archive.exists():
        with tarfile.open(archive) as packed:
            for member in packed:
                content = packed.extractfile(member)
                assert content is not None
                assert not marks(content.read().decode("utf-8", "replace")), member.name


def document(steps: dict[str, str]) -> str:
    """A document with these steps in stage s."""
    return "stages:\n  s:\n" + "".join(f"  - name: {name}\n    {body}\n" for name, body in steps.items())


def test_no_mark_of_a_document_occurs_anywhere(machine: Isolated) -> None:
    machine.put("/oem/10_classic.yaml", CLASSIC, 0o600)
    machine.put("/oem/90_secrets.yaml", document(STEPS), 0o600)
    machine.put("/srv/wg0.conf", "PrivateKey = MARK-old\n", 0o600)
    for name, text in BROKEN.items():
        machine.put(f"/oem/20_{name}.yaml", text, 0o600)
    with Watch(machine) as watch:
        texts = said(machine, *VERBS)
    assert not watch.found
    search(machine, texts, watch)
    run = texts[("run-stage", "s")]
    for name in STEPS:
        if name not in ("file that was there", "template that fails", "provider"):
            assert f"step 90_secrets.{name}" in run.replace("/oem/", "") or name in run, "the run must really have failed for this to mean anything"
    assert "nosuchgroup" in run
    assert b"KAIROS_STAGE=s\n" in watch.journal
    assert machine.read("/srv/private") == "MARK-private {{ .broken"
    assert machine.read("/srv/fetched") == "MARK-substitute"
    for path in ("/etc/passwd", "/etc/group"):
        assert not marks(machine.read(path)), path
    assert set(re.findall("MARK-[a-z]*", machine.read("/etc/shadow") + machine.read("/etc/gshadow"))) <= {"MARK-salt", "MARK-hash"}


def test_no_login_of_a_command_occurs_in_what_is_told_of_it(machine: Isolated) -> None:
    machine.put("/oem/90_secrets.yaml", document(SEEN_BY_PS), 0o600)
    with Watch(machine) as watch:
        texts = said(machine, *VERBS)
    search(machine, texts, watch)
    assert texts[("run-stage", "s")].count("exit status 3") >= len(LOGINS)


def test_no_login_of_a_source_or_of_the_kernel_command_line_occurs(machine: Isolated) -> None:
    """An address that is asked for, one whose template fails, and words of every kind."""
    machine.put("/srv/cmdline", CMDLINE)
    assert machine.run("mount", "--bind", "/srv/cmdline", "/proc/cmdline") == (0, "")
    with Watch(machine) as watch:
        texts: dict[tuple[str, ...], str] = {}
        for word in (f"kairos.config_url={URL}", f"cos.setup={URL}", "kairos.config_url=http://u:MARK@127.0.0.1:8000/{{ .Values.nosuch.x }}?t=MARK", 'x="open MARK', "stages.boot[0]a=MARK"):
            (machine.root / "srv/cmdline").write_text(f"{CMDLINE} {word}\n")
            calls = (("plan", "--json", "boot"), ("run-stage", "boot"), ("plan", "--cmdline", f"{CMDLINE} {word}", "boot"))
            texts |= {(word, *words): text for words, text in said(machine, *calls).items()}
        verbs = (("run-stage", "s"), ("run-stage", "-a", "s"), ("run-stage", "--json", "s"), ("plan", "s"), ("validate", "--json"), ("run-stage", "s", "--cloud-init-paths"))
        texts |= said(machine, *((*verb, url) for verb in verbs for url in (URL, SERVED)), ("status", "--json"), ("logs", "-o", "/srv/logs.tar.gz"))
        search(machine, texts, watch)
    assert "http://127.0.0.1:8000/x: " in texts[("run-stage", "s", URL)]
    assert "http://127.0.0.1:8000/x.yaml:2:" in texts[("run-stage", "s", SERVED)]


def test_the_kept_documents_and_the_ledger_are_not_for_everybody(machine: Isolated) -> None:
    machine.put("/oem/90_secrets.yaml", document(STEPS), 0o600)
    time.sleep(0.1)  # what was changed a moment ago is not kept
    machine.kairos("run-stage", "s")
    assert Path(f"{machine.root}/run/kairos-boot/documents").stat().st_mode & 0o777 == 0o600
    for file in Path(f"{machine.root}/run/cos/ledger").iterdir():
        assert file.stat().st_mode & 0o777 == 0o640
