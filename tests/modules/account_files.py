"""The account files that the tests of accounts start from, and the module of their entities by its two keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kairos_boot.modules import entities

if TYPE_CHECKING:
    from tests.modules.conftest import Node

PASSWD = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nkeeper:x:1200:1200:Keeper:/home/keeper:/bin/sh\n"
GROUP = "root:x:0:\ndaemon:x:1:\nwheel:x:10:\nstaff:x:50:keeper\nkeeper:x:1200:\n"
SHADOW = "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\nkeeper:$6$keepkeep$notarealhash:19000:1:90:7:30:25000:\n"
GSHADOW = "root:*::\ndaemon:*::\nwheel:*::\nstaff:*::keeper\nkeeper:!::\n"


class Ensure:
    """The module of entities as its first key sees it."""

    KEY = "ensure_entities"
    plan = staticmethod(entities.plan_ensure_entities)


class Delete:
    """The module of entities as its second key sees it."""

    KEY = "delete_entities"
    plan = staticmethod(entities.plan_delete_entities)


def put_accounts(host: Node, passwd: str = PASSWD, group: str = GROUP, shadow: str = SHADOW, gshadow: str | None = GSHADOW) -> None:
    """Make the four files, or three."""
    host.put("/etc/passwd", passwd)
    host.put("/etc/group", group)
    host.put("/etc/shadow", shadow, 0o640)
    if gshadow is not None:
        host.put("/etc/gshadow", gshadow, 0o640)


def line(host: Node, path: str, name: str) -> str:
    """The only line of *name* in an account file."""
    [found] = [entry for entry in host.text(path).splitlines() if entry.startswith(f"{name}:")]
    return found
