"""Documents that nobody would write: whatever their values are, an account file holds whole entries of known people only."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.facts import Facts
from kairos_boot.modules import authorized_keys, users
from kairos_boot.system.accounts import FILES
from tests.modules.account_files import GROUP, GSHADOW, PASSWD, SHADOW, Delete, Ensure, put_accounts

if TYPE_CHECKING:
    from kairos_boot.modules import Module
    from tests.modules.conftest import MakeStep, Node

DOCUMENTS = 400
ODD = ("", " ", ":", "a:b", "\n", "x\nroot2:x:0:0::/:/bin/sh", "\0", "-1", "0", "1e3", "0x10", "9" * 5000, "4294967295", "*", "!", "$", "$6$", "$6$a$b", "\udcff", "\u202e", "é" * 300, "..",
       "../../../etc/x", "/", "/etc", "//", "/home/../etc/y", "root", "root:x", "keeper", "ada", "wheel", "~", "null", "{{ .x }}", "{", "[", "&a", "*a", "- a", "#", "github:", "http://[", "%00",
       "ssh-rsa A a", "ssh-rsa A\nssh-rsa B", "http://127.0.0.1:1:1/")


def document(chance: random.Random) -> tuple[Module, dict[str, Any]]:
    """A module and the plain data of its key."""
    def odd() -> str:
        return chance.choice(ODD)

    kind = chance.randrange(4)
    if kind == 0:
        user: dict[str, Any] = {key: odd() for key in ("passwd", "gecos", "homedir", "primary_group", "shell", "uid") if chance.random() < 0.3}
        user["groups"] = tuple(odd() for _ in range(chance.randrange(3)))
        user.update({key: chance.random() < 0.5 for key in ("lock_passwd", "create_groups", "system")}, no_create_home=True)
        return users, {"users": {odd() if chance.random() < 0.3 else "ada": user}}
    if kind == 1:
        return authorized_keys, {"authorized_keys": {odd(): tuple(odd() for _ in range(chance.randrange(4)))}}
    keys = ("kind", "username", "group_name", "name", "password", "uid", "gid", "group", "users", "members", "info", "shell", "last_changed", "extra")
    lines = [f"{key}: {chance.choice(('user', 'group', 'shadow', 'gshadow')) if key == 'kind' else odd()}" for key in keys if key == "kind" or chance.random() < 0.5]
    entity = {"entity": "\n".join(lines) if chance.random() < 0.9 else odd(), "path": ""}
    return (Ensure(), {"ensure_entities": [entity]}) if kind == 2 else (Delete(), {"delete_entities": [entity]})


@pytest.mark.parametrize("block", range(4))
def test_generated_documents(host: Node, step: MakeStep, block: int) -> None:
    """Never an unexpected exception, an entry with too many fields, a second root, an empty password, or a write elsewhere."""
    put_accounts(host)
    host.put("/etc/.pwd.lock")
    for seed in range(block * DOCUMENTS // 4, (block + 1) * DOCUMENTS // 4):
        module, keys = document(random.Random(seed))
        host.do(module, step(**keys), Facts())
        for path, width in FILES.values():
            for entry in (host.read(path) or b"").decode("utf-8", "surrogateescape").rstrip("\n").split("\n"):
                fields = entry.split(":")
                assert len(fields) == width, f"seed {seed}: {path}: {entry!r}"
                if path == "/etc/passwd":
                    assert fields[2].isdecimal(), f"seed {seed}: {entry!r}"
                    assert fields[3].isdecimal(), f"seed {seed}: {entry!r}"
                    assert fields[0] == "root" or fields[2] != "0" or "'uid': '0'" in str(keys) or "uid: 0" in str(keys), f"seed {seed}: {entry!r}"
                assert path != "/etc/shadow" or fields[1], f"seed {seed}: {entry!r}"
                assert fields[0].strip(), f"seed {seed}: {entry!r}"
        if any("root" in str(value) or "uid" in str(value) for value in keys.values()):
            put_accounts(host)
    assert {path.removeprefix(host.root) for path in host.state() if not path.endswith("/.")} <= {
        "/etc", "/etc/.pwd.lock", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"}


def test_the_start_is_as_expected(host: Node) -> None:
    """The checks above hold of what the documents begin with."""
    put_accounts(host)
    assert [text.count("\n") for text in (PASSWD, SHADOW, GROUP, GSHADOW)] == [3, 3, 5, 5]
