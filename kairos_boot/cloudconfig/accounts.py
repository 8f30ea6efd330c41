"""The classic keys `users`, `groups` and `ssh_authorized_keys` of #cloud-config documents (B8, B12)."""

from __future__ import annotations

from kairos_boot.cloudconfig.nodes import MAPPING, SCALAR
from kairos_boot.cloudconfig.scalars import FALSE, NO, TRUE, YES, is_null

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.cloudconfig.classic import ClassicReader, Draft
    from kairos_boot.cloudconfig.classic_access import Access
    from kairos_boot.cloudconfig.nodes import YamlNode

    Key = tuple[str, YamlNode]

TEXTS = ("expiredate", "gecos", "homedir", "inactive", "passwd", "plain_text_passwd", "primary_group", "shell", "uid")
BOOLEANS = ("create_groups", "lock_passwd", "no_create_home", "no_log_init", "no_user_group", "system")
PASSWORDS = ("hashed_passwd",)
LISTS = ("groups", "ssh_authorized_keys", "ssh_import_id", "sudo")
NOT_HERE = ("coreos_ssh_import_github", "coreos_ssh_import_github_users", "coreos_ssh_import_url", "doas", "selinux_user", "snapuser", "ssh_redirect_user")
REMOTE = ("github", "gitlab", "https://", "http://")
"""How a key begins that is fetched, which needs the network."""
RULES = "/etc/sudoers.d/90-cloud-init-"


class Accounts:
    """Collects accounts; `finish` puts them into the steps."""

    def __init__(self, values: ClassicReader) -> None:
        self.values = values
        self._users: dict[str, tuple[dict[str, Any], YamlNode]] = {}
        self._marks: dict[str, YamlNode] = {}
        self._keys: dict[str, list[Key]] = {}
        self._everyone: list[Key] = []
        self._groups: dict[str, tuple[list[str], YamlNode]] = {}
        self._rules: list[tuple[str, list[str], YamlNode]] = []

    def users(self, node: YamlNode) -> None:
        """A list of maps and names, one map by name, or names as one text."""
        if node.kind is SCALAR:
            for name in self.values.words(node, "users"):
                self._user(name, node, [], "users")
        elif node.kind is MAPPING:
            for key, item in self.values.pairs(node, "users"):
                self._user(key.value, item, self.values.pairs(item, f"users.{key.value}"), f"users.{key.value}")
        else:
            for number, item in enumerate(self.values.items(node, "users")):
                path = f"users[{number}]"
                if item.kind is SCALAR:
                    for name in self.values.words(item, path):
                        self._user(name, item, [], path)
                    continue
                pairs = self.values.pairs(item, path)
                names = [value for key, value in pairs if key.value == "name"]
                name = self.values.text(names[0], f"{path}.name") if names else ""
                if name:
                    self._user(name, item, pairs, path)
                elif names and not (names[0].kind is SCALAR and is_null(names[0])):
                    continue  # what is wrong with it was said
                elif any(key.value == "snapuser" for key, _ in pairs):
                    self.values.advise(item, path, "'snapuser' is not supported here, so nobody is made", "give the user a `name`")
                else:
                    self.values.error(item, path, "the user has no name", "add `name: …`")

    def _user(self, name: str, node: YamlNode, pairs: list[tuple[YamlNode, YamlNode]], path: str) -> None:
        if name == "default" and not pairs:
            self.values.advise(node, path, "there is no default user here", "list the user by name")
            return
        user: dict[str, Any] = {"create_groups": True}
        hashed = ""
        keys: list[Key] = []
        for key, item in pairs:
            field, where = key.value.replace("-", "_"), f"{path}.{key.value}"
            self._marks[f"users/{name}/{field}"] = item
            if field in TEXTS:
                user[field] = self.values.text(item, where)
            elif field in BOOLEANS:
                user[field] = self.values.boolean(item, where)
            elif field in PASSWORDS:
                hashed = self.values.text(item, where)
                self._marks[f"users/{name}/passwd"] = item
            elif field == "groups":
                user[field] = tuple([k.value for k, _ in self.values.pairs(item, where)] if item.kind is MAPPING else self.values.words(item, where))
            elif field == "ssh_authorized_keys":
                keys += self._texts(item, where)
            elif field == "ssh_import_id":
                keys += [(imported(each), place) for each, place in self._texts(item, where)]
            elif field == "sudo":
                self._sudo(name, item, where)
            elif field in NOT_HERE:
                self.values.advise(key, where, f"{key.value!r} of a user is not supported here", "use a step under `stages:` instead")
            elif field != "name":
                self.values.unknown(key, where, ("name", *TEXTS, *BOOLEANS, *PASSWORDS, *LISTS))
        if hashed:
            user.pop("plain_text_passwd", None)
            user["passwd"] = hashed
        self._users[name] = (user, node)
        if keys:
            self._keys.setdefault(name, []).extend(keys)

    def _texts(self, node: YamlNode, path: str) -> list[Key]:
        nodes = [node] if node.kind is SCALAR else self.values.items(node, path)
        found = [(self.values.name(item, f"{path}[{number}]"), item) for number, item in enumerate(nodes)]
        return [(text, item) for text, item in found if text]

    def _sudo(self, name: str, node: YamlNode, path: str) -> None:
        """Rules for the user: one text or several; false is none."""
        if node.kind is SCALAR and node.plain and node.value in FALSE | NO:
            return
        if node.kind is SCALAR and node.plain and node.value in TRUE | YES:
            self.values.error(node, path, "true is no rule", 'write the rule, like "ALL=(ALL) NOPASSWD:ALL"')
            return
        rules = [rule for rule, _ in self._texts(node, path)]
        if any(set("\n\r\0") & set(rule.strip()) for rule in rules):
            self.values.error(node, path, "a rule is one line", "write a list of rules")
        elif rules:
            self._rules.append((name, [rule.strip() for rule in rules], node))

    def groups(self, node: YamlNode) -> None:
        """Groups to make: names as text or list, or maps of a name to its members."""
        if node.kind is SCALAR:
            for name in self.values.words(node, "groups"):
                self._group(name, [], node, "groups")
        elif node.kind is MAPPING:
            self._group_map(node, "groups")
        else:
            for number, item in enumerate(self.values.items(node, "groups")):
                if item.kind is SCALAR:
                    for name in self.values.words(item, f"groups[{number}]"):
                        self._group(name, [], item, f"groups[{number}]")
                else:
                    self._group_map(item, f"groups[{number}]")

    def _group_map(self, node: YamlNode, path: str) -> None:
        for key, item in self.values.pairs(node, path):
            self._group(key.value, self.values.words(item, f"{path}.{key.value}"), key, f"{path}.{key.value}")

    def _group(self, name: str, members: list[str], node: YamlNode, path: str) -> None:
        for each in (name, *members):
            if not each or each[0] in "-+" or set(each) & set(":,\n\r\0{}\"'\\# ") or each.strip() != each:
                self.values.error(node, path, f"{each[:40]!r} is not a name of a group or user", "use letters, digits, - and _")
                return
        known = self._groups.setdefault(name, ([], node))[0]
        known += [m for m in members if m not in known]

    def keys(self, node: YamlNode) -> None:
        self._everyone += self._texts(node, "ssh_authorized_keys")

    def rules(self) -> list[tuple[dict[str, Any], YamlNode]]:
        return [({"path": RULES + file_name(name), "permissions": 0o440, "owner": 0, "group": 0,
                  "content": "".join(f"{name} {rule}\n" for rule in rules)}, node) for name, rules, node in self._rules]

    def finish(self, boot: Draft, network: Draft, access: Access) -> None:
        """Put groups, users and keys into *boot*, and the keys that are fetched into *network*."""
        boot.items("ensure_entities", [({"entity": f"kind: group\ngroup_name: {_yaml(group)}\npassword: x\ngid: -1\n"}, node)
                                       for group, (_, node) in self._groups.items()])
        filled = {group: tuple(members) for group, (members, _) in self._groups.items() if members}
        if filled:
            boot.put("group_members", filled)
            for group in filled:
                boot.mark(f"group_members/{group}", self._groups[group][1])
        for password, _ in access.passwords:
            if password["name"] in self._users:  # what `chpasswd` says counts, also in the next run
                user = self._users[password["name"]][0]
                user.pop("passwd", None)
                user.pop("plain_text_passwd", None)
        if self._users:
            boot.put("users", {name: user for name, (user, _) in self._users.items()})
            for name, (_, node) in self._users.items():
                boot.mark(f"users/{name}", node)
            for path, node in self._marks.items():
                boot.mark(path, node)
        for name in dict.fromkeys((*self._users, *(() if self._users else ("root",)))):
            shared = self._everyone if name != "root" else self._of_root(access)
            _keys(boot, network, name, [*self._keys.get(name, ()), *shared])
        if access.root is not None and self._users and "root" not in self._users:
            _keys(boot, network, "root", self._of_root(access))

    def _of_root(self, access: Access) -> list[Key]:
        """The keys for everybody as root gets them: as they are, or behind options that open nothing (`disable_root`)."""
        if not access.root:
            return self._everyone
        options = access.options.replace("$USER", next((name for name in self._users if name != "root"), "NONE")).replace("$DISABLE_USER", "root")
        found = []
        for text, node in self._everyone:
            if text.startswith(REMOTE):
                self.values.advise(node, "ssh_authorized_keys", "keys that are fetched are not given to root, since `disable_root` is true", "write them out if they shall stand there")
            else:
                found.append((f"{options} {text}", node))
        return found


def _keys(boot: Draft, network: Draft, name: str, found: list[Key]) -> None:
    """Give *name* its keys, each once: those that are fetched in *network*."""
    keys: dict[str, YamlNode] = {}
    for text, node in found:
        keys.setdefault(text, node)
    for draft, remote in ((boot, False), (network, True)):
        chosen = [text for text in keys if text.startswith(REMOTE) is remote]
        if chosen:
            draft.values.setdefault("authorized_keys", {})[name] = tuple(chosen)
            for number, text in enumerate(chosen):
                draft.mark(f"authorized_keys/{name}/{number}", keys[text])


def file_name(user: str) -> str:
    """A name of a file for *user*, no other user's: sudo leaves out files with a dot or a ~ in their name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "".join(f"={byte:02x}" for byte in c.encode("utf-8", "surrogateescape")) for c in user)


def _yaml(text: str) -> str:
    """A name as a YAML text; quotes and backslashes were refused before."""
    return f'"{text}"'


def imported(name: str) -> str:
    """Where the keys of an account with a public host are: `gh:NAME` is GitHub, `lp:NAME` or a bare name Launchpad."""
    host, colon, user = name.partition(":")
    if not colon:
        host, user = "lp", name
    return {"gh": f"github:{user}", "gl": f"gitlab:{user}", "lp": f"https://launchpad.net/~{user}/+sshkeys"}.get(host, name)
