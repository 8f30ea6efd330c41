"""The typed cloud-config: frozen records, one field per key (yip's, docs/reference/document.md, H).

The annotations are the one source of truth: `decode` reads them to check YAML nodes, `schema` to write the JSON Schema.
They are made of `str`, `int` (signed), `bool`, the scalar names below, records of this file, `tuple[X, ...]` for lists,
`Mapping[str, X]` for maps, and `X | None` where a missing value differs from the zero value.
"""

from __future__ import annotations

from kairos_boot.records import NOTHING, record
from kairos_boot.shown import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Mode = int
    """Permission bits, written as a YAML integer (0644, 0o644) or as the octal text "0644"."""
    Count = int
    """How many times; 0 is none."""
    Id = int
    """The number of a user or a group; -1 is no change, as to chown(2)."""
    Size = int
    """An unsigned number of MiB."""
    Seconds = float
    """A time limit: a number of seconds, or text such as 90s or 5m; 0 is none."""
    Frequency = str
    """always, once, once-per-image or on-change."""
    OnFailure = str
    """continue, stop-step or stop-stage."""


@record
class Dependency:
    """An item of `after`: the full name of another step of the (sub)stage."""

    name: str = ""


@record
class File:
    """A file to write; `permissions` None keeps an existing file's mode, else 0644 (C2)."""

    path: str = ""
    permissions: Mode | None = None
    owner: Id | None = None
    group: Id | None = None
    content: str = ""
    encoding: str = ""
    ownerstring: str = ""
    append: bool = False
    defer: bool = False


@record
class Download:
    """A file to fetch over HTTP(S); `timeout` is in seconds for the whole request, 0 is none."""

    path: str = ""
    url: str = ""
    permissions: Mode | None = None
    owner: Id | None = None
    group: Id | None = None
    timeout: int | None = None
    ownerstring: str = ""
    checksum: str = ""


@record
class Directory:
    """A directory to make; `permissions` None keeps an existing directory's mode, else 0755 (C2)."""

    path: str = ""
    permissions: Mode | None = None
    owner: Id | None = None
    group: Id | None = None


@record
class Entity:
    """A line of passwd, shadow, group or gshadow, as a YAML text inside a string."""

    path: str = ""
    entity: str = ""


@record
class Dns:
    """resolv.conf; nothing happens without `nameservers`."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    path: str = ""


@record
class User:
    """An account; the key of the map is its name."""

    name: str = ""
    passwd: str = ""
    gecos: str = ""
    homedir: str = ""
    primary_group: str = ""
    shell: str = ""
    uid: str = ""
    ssh_authorized_keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    no_create_home: bool = False
    no_user_group: bool = False
    system: bool = False
    no_log_init: bool = False
    lock_passwd: bool = False
    create_groups: bool = False
    plain_text_passwd: str = ""
    expiredate: str = ""
    inactive: str = ""


@record
class Override:
    """A drop-in of a unit: `name` defaults to override-yip.conf."""

    service: str = ""
    content: str = ""
    name: str = ""


@record
class Systemctl:
    """Units to enable, disable, mask and start, and drop-ins to write."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()


@record
class Packages:
    """Work for the node's package manager."""

    install: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    refresh: bool = False
    upgrade: bool = False


@record
class UnpackImage:
    """A container image whose file tree is unpacked below `target`."""

    source: str = ""
    target: str = ""
    platform: str = ""


@record
class DataSource:
    """Where user data is looked for, and where it is stored."""

    providers: tuple[str, ...] = ()
    path: str = ""
    userdata_name: str = ""


@record
class GitAuth:
    """How a repository is accessed."""

    username: str = ""
    password: str = ""
    private_key: str = ""
    public_key: str = ""
    insecure: bool = False


@record
class Git:
    """A repository to clone or update."""

    url: str = ""
    path: str = ""
    branch: str = ""
    branch_only: bool = False
    auth: GitAuth = GitAuth()


@record
class Device:
    """The one disk a layout works on."""

    init_disk: bool = False
    disk_name: str = ""
    label: str = ""
    path: str = ""


@record
class ExpandPartition:
    """Grow the last partition to `size` MiB; 0 takes all that is free."""

    size: Size = 0


@record
class Partition:
    """A partition to add; `size` 0 takes all that is free."""

    fsLabel: str = ""  # noqa: N815
    pLabel: str = ""  # noqa: N815
    size: Size = 0
    filesystem: str = ""
    bootable: bool = False


@record
class Layout:
    """Partitions of a disk. `expand_partition: {}` asks for growth, a missing key does not."""

    device: Device | None = None
    expand_partition: ExpandPartition | None = None
    add_partitions: tuple[Partition, ...] = ()


@record
class Password:
    """An item of `chpasswd` of a #cloud-config document; `plain` text is hashed whatever it begins with."""

    name: str = ""
    password: str = ""
    plain: bool = False
    expire: bool = False


@record
class FetchedFile:
    """A file of `write_files` whose content comes from a URL and is appended, or replaced by `content` where there is no answer."""

    path: str = ""
    url: str = ""
    permissions: Mode | None = None
    ownerstring: str = ""
    content: str | None = None
    encoding: str = ""
    append: bool = False


@record
class HostNames:
    """The names of the node in /etc/hosts; empty ones are those that it has."""

    hostname: str = ""
    fqdn: str = ""


@record
class Certificates:
    """`ca_certs`: certificates to trust, as PEM texts."""

    trusted: tuple[str, ...] = ()
    remove_defaults: bool = False


@record
class Step:
    """An element of a stage's list: conditions, then one item of work per module key."""

    name: str = ""
    after: tuple[Dependency, ...] = ()
    if_: str = ""
    node: str = ""
    only_os: str = ""
    only_os_version: str = ""
    only_arch: str = ""
    only_service_manager: str = ""
    if_files: Mapping[str, tuple[str, ...]] = NOTHING
    commands: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    downloads: tuple[Download, ...] = ()
    directories: tuple[Directory, ...] = ()
    ensure_entities: tuple[Entity, ...] = ()
    delete_entities: tuple[Entity, ...] = ()
    dns: Dns = Dns()
    hostname: str = ""
    sysctl: Mapping[str, str] = NOTHING
    authorized_keys: Mapping[str, tuple[str, ...]] = NOTHING
    users: Mapping[str, User] = NOTHING
    modules: tuple[str, ...] = ()
    systemctl: Systemctl = Systemctl()
    environment: Mapping[str, str] = NOTHING
    environment_file: str = ""
    package_pins: Mapping[str, str] = NOTHING
    packages: Packages = Packages()
    unpack_images: tuple[UnpackImage, ...] = ()
    datasource: DataSource = DataSource()
    layout: Layout = Layout()
    systemd_firstboot: Mapping[str, str] = NOTHING
    timesyncd: Mapping[str, str] = NOTHING
    git: Git = Git()
    timeout: Seconds | None = None
    retries: Count = 0
    frequency: Frequency = "always"
    on_failure: OnFailure = "continue"

    source: str = ""
    """The document's path or URL as shown to people. Set by the loader; no key."""
    place: str = ""
    """`stages.NAME[INDEX]`: where the step stands in its document. Set by the loader; no key."""
    marks: Mapping[str, tuple[int, int]] = NOTHING
    """Line and column of each value, by its path below the step joined with `/` (`files/0/path`). Set by the loader; no key."""
    written: Mapping[str, str] = NOTHING
    """What a #cloud-config document calls the value of a mark, where that is another path (`runcmd[0]`). Set by the loader; no key."""
    keys: tuple[str, ...] = ()
    """The keys the document gives, so that a module knows whether it is meant at all. Set by the loader; no key."""
    classic: bool = False
    """Made from the classic half of a #cloud-config document: its `commands` run last (B12). Set by the loader; no key."""
    etc_hosts: HostNames = HostNames()
    fetched_files: tuple[FetchedFile, ...] = ()
    group_members: Mapping[str, tuple[str, ...]] = NOTHING
    passwords: tuple[Password, ...] = ()
    ssh_pwauth: str = ""
    sudoers: bool = False
    ca_certs: Certificates = Certificates()
    """Work that only keys of the classic half ask for (B12). Set by the loader; no keys of a step."""

    def limit(self, default: float = 600.0) -> float:
        """Seconds that each of the step's commands may take, 0 is none: what the document says, else *default* (B4)."""
        return default if self.timeout is None else self.timeout

    def where(self, *path: str | int) -> str:
        """`FILE:LINE:COLUMN: stages.boot[0].sysctl` for the value at *path*, or for its nearest parent with a known place.

        What was made of a key of cloud-init is called as the document calls it: `FILE:LINE:COLUMN: runcmd[0]`.
        """
        shown = self.place + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
        for end in range(len(path), -1, -1):
            at = "/".join(map(str, path[:end]))
            mark = self.marks.get(at)
            if mark:
                return f"{self.source}:{mark[0]}:{mark[1]}: {self.written.get(at) or shown}"
        return f"{self.source}: {shown}"


CLASSIC_WORK = ("etc_hosts", "fetched_files", "group_members", "passwords", "ssh_pwauth", "sudoers", "ca_certs")
"""Fields of a step that hold work for a module and that only the classic half of a document can ask for."""
LOADER_FIELDS = ("source", "place", "marks", "written", "keys", "classic", *CLASSIC_WORK)
"""Fields of a step that are no keys of the document."""

KEY_NAMES = {"if_": "if"}
"""Fields whose key is a reserved word of Python."""


@record
class Problem:
    """Something a document says wrong.

    `error` costs what it is about, `warning` costs nothing in a run and is an error to `validate` (an unknown key),
    `advice` is probably not what was meant and is a warning everywhere.
    """

    severity: str
    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """What people see; no key of the document begins a line of its own in it (E6)."""
        return f"{one_line(self.where)}: {self.message}{'; ' + self.hint if self.hint else ''}"


@record
class Document:
    """One loaded document. Its stages stay plain data until a stage asks for its steps."""

    source: str
    """Path, URL or `<STDIN>`, as in messages."""
    name: str = ""
    """The root name of its steps: the key `name`, else the source (yip's)."""
    stages: Mapping[str, Any] = NOTHING
    problems: tuple[Problem, ...] = ()
    jobs: int = 0
    broken: bool = False
    """It was dropped: nothing of it counts but its problems."""
    reconcile: bool = False
    """Its steps run again where the node has drifted away from them (decisions H)."""

    def steps(self, stage: str) -> tuple[Step, ...]:
        from kairos_boot.cloudconfig.plain import build

        return tuple(build(Step, {"source": self.source, "place": f"stages.{stage}[{i}]", **plain})
                     for i, plain in enumerate(self.stages.get(stage, ())))
