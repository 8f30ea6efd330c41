"""The part of the JSON Schema that describes the classic keys of #cloud-config documents (B8, B9, B12)."""

from __future__ import annotations

from kairos_boot.cloudconfig.accounts import BOOLEANS, NOT_HERE, PASSWORDS, TEXTS
from kairos_boot.cloudconfig.classic_disks import FILE_SYSTEM_KEYS
from kairos_boot.cloudconfig.scalars import NO, YES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Schema = dict[str, Any]

NULL: Schema = {"type": "null"}
TEXT: Schema = {"type": ["string", "number", "boolean", "null"]}
TEXTS_LIST: Schema = {"type": ["array", "null"], "items": TEXT}
WORDS = ("true", "True", "TRUE", "false", "False", "FALSE")
BOOLEAN: Schema = {"anyOf": [{"type": ["boolean", "null"]}, {"enum": sorted({*YES, *NO, *WORDS})}]}
COMMANDS: Schema = {"type": ["array", "null"], "items": {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}}
NAME: Schema = {"type": ["string", "null"]}
NAMES_LIST: Schema = {"type": ["array", "null"], "items": NAME}
NAMES: Schema = {"anyOf": [NAME, NAMES_LIST]}


def classic(definitions: dict[str, Schema]) -> dict[str, Schema]:
    """The schemas of the classic keys; what is used twice goes to *definitions*."""
    definitions["ClassicUser"] = _user()
    definitions["ClassicFile"] = _file()
    definitions["ClassicGroups"] = {"type": "object", "additionalProperties": NAMES}
    user, file, groups = ({"$ref": f"#/definitions/Classic{name}"} for name in ("User", "File", "Groups"))
    files = {"type": ["array", "null"], "items": {"anyOf": [file, NULL]}}
    return {
        "hostname": _said(TEXT, "The host name, set in the initramfs stage as it is written."),
        "fqdn": _said(TEXT, "The full name: of the host if `prefer_fqdn_over_hostname`, else up to its first dot if there is no `hostname`; see `manage_etc_hosts`."),
        "prefer_fqdn_over_hostname": _said(BOOLEAN, "The host name is `fqdn` where both are given."),
        "preserve_hostname": _said(BOOLEAN, "The host name is left as it is."),
        "manage_etc_hosts": _said({"anyOf": [{"type": ["boolean", "null"]}, {"enum": sorted({"localhost", "template", *YES, *NO, *WORDS})}]},
                                  "A line of 127.0.1.1 in /etc/hosts has the names."),
        "chpasswd": _said(_object(expire=BOOLEAN, list={"anyOf": [TEXT, TEXTS_LIST]}, users={"type": ["array", "null"], "items": {
            "anyOf": [NULL, {"type": "object", "properties": {"name": NAME, "password": TEXT, "type": {"enum": ["hash", "text", "RANDOM", None]}},
                             "additionalProperties": False}]}}), "Passwords of accounts that are there, set in the boot stage."),
        "ssh_pwauth": _said({"anyOf": [BOOLEAN, {"enum": ["", "unchanged"]}]}, "Whether the ssh server takes passwords."),
        "disable_root": _said(BOOLEAN, "True: root gets the keys for everybody, and they open nothing. False: root gets them."),
        "disable_root_opts": _said(TEXT, "What stands before root's keys if `disable_root` is true."),
        **dict.fromkeys(("ca_certs", "ca-certs"), _said(_object(**{"trusted": {"anyOf": [TEXT, TEXTS_LIST]}, "remove_defaults": BOOLEAN, "remove-defaults": BOOLEAN}),
                        "Certificates of authorities to trust.")),
        "users": _said({"anyOf": [
            {"type": ["array", "null"], "items": {"anyOf": [NAME, {"allOf": [user], "required": ["name"]}]}}, {"type": "string"},
            {"type": "object", "additionalProperties": {"anyOf": [user, NULL]}}]}, "Accounts, made in the boot stage."),
        "groups": _said({"anyOf": [NAME, {"type": "array", "items": {"anyOf": [NAME, groups]}}, groups]}, "Groups, made in the boot stage before the accounts."),
        "ssh_authorized_keys": _said(NAMES, "SSH keys of every listed user, or of root if none is listed."),
        "write_files": _said(files, "Files, written in the boot stage."),
        "milpa_files": _said(files, "As write_files, and after them."),
        "runcmd": _said(COMMANDS, "Commands, run at the end of the generated step of the boot stage, at every boot."),
        "bootcmd": _said(COMMANDS, "Commands, run in boot.before at every boot."),
        "growpart": _said(_object(mode=TEXT, devices=TEXTS_LIST, ignore_growroot_disabled={}), "Disks whose last partition grows, in the boot stage."),
        "disk_setup": _said({"type": ["object", "null"], "additionalProperties": _object(table_type=TEXT, layout={"type": ["boolean", "string", "number", "array", "null"]},
                            overwrite=BOOLEAN)}, "Blank disks that get one partition, in the boot stage."),
        "fs_setup": _said({"type": ["array", "null"], "items": _object(**{key: TEXT if key in ("device", "filesystem", "label", "partition") else {}
                          for key in FILE_SYSTEM_KEYS})}, "The file systems of the disks of disk_setup."),
        "ntp": _said(_object(enabled=BOOLEAN, servers=TEXTS_LIST, pools=TEXTS_LIST, ntp_client=TEXT, config={}, peers={}, allow={}), "Time servers for systemd-timesyncd."),
        "packages": _said({"type": ["array", "null"], "items": {"anyOf": [TEXT, TEXTS_LIST, {"type": "object", "properties": {
            "apt": {"type": ["array", "null"], "items": {"anyOf": [TEXT, TEXTS_LIST]}}}}]}}, "Packages, installed in the network stage."),
        "package_update": _said(BOOLEAN, "Refresh the lists of packages first."),
        "package_upgrade": _said(BOOLEAN, "Upgrade the packages first."),
        "timezone": _said({"type": ["string", "null"], "pattern": "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"}, "The time zone, such as Europe/Rome."),
    }


def _said(schema: Schema, text: str) -> Schema:
    return {"description": text, **schema}


def _object(**keys: Schema) -> Schema:
    return {"type": ["object", "null"], "properties": keys, "additionalProperties": False}


def _user() -> Schema:
    keys: dict[str, Schema] = {
        "name": {"type": ["string", "number", "boolean"], "description": "The account's name."},
        **dict.fromkeys(TEXTS, TEXT), **dict.fromkeys(BOOLEANS, BOOLEAN), **dict.fromkeys(PASSWORDS, TEXT), **{key: {} for key in NOT_HERE},
        "groups": {"anyOf": [NAME, NAMES_LIST, {"type": "object"}]},
        "ssh_authorized_keys": NAMES,
        "ssh_import_id": _said(NAMES, "gh:NAME, lp:NAME."),
        "sudo": _said({"anyOf": [{"enum": [False, None]}, {"type": "string"}, NAMES_LIST]}, "Rules for sudo; false is none."),
    }
    hyphens = {key.replace("_", "-"): value for key, value in keys.items() if "_" in key}
    return {"description": "An account of a #cloud-config document.", "type": "object", "properties": {**keys, **hyphens}, "additionalProperties": False}


def _file() -> Schema:
    octal = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^((0o)?[0-7]{1,6})?$"}, NULL]}
    keys: dict[str, Schema] = {
        "path": {"type": ["string", "number", "boolean"]}, "content": TEXT, "encoding": TEXT, "append": BOOLEAN, "defer": BOOLEAN,
        "owner": _said(TEXT, "USER or USER:GROUP."), "permissions": _said(octal, "The mode as octal text."),
        "source": _object(uri=TEXT, headers={}),
    }
    return {"description": "A file of a #cloud-config document.", "type": "object", "properties": keys, "required": ["path"], "additionalProperties": False}
