"""Metadata services with ways of their own: gcp, azure, packet, scaleway, hetzner, maas (docs/reference/datasource.md)."""

from __future__ import annotations

from kairos_boot.actions.datasource_found import AbsentError, UnknownError
from kairos_boot.actions.datasource_web import LINK_LOCAL, METADATA
from kairos_boot.errors import KairosError
from kairos_boot.system.keyvalue import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.actions.datasource_found import Found, Session

GCP, GCP_HEADERS = "http://metadata.google.internal/computeMetadata/v1/", {"Metadata-Flavor": "Google"}
AZURE, AZURE_QUERY, AZURE_HEADERS = f"{LINK_LOCAL}/metadata/instance/", "?api-version=2021-01-01&format=text", {"Metadata": "true"}
AZURE_FILES = ("network/interface/0/ipv4/ipAddress/0/publicIpAddress", "network/interface/0/ipv4/ipAddress/0/privateIpAddress",
               "compute/zone", "compute/vmId")
WIRE, WIRE_HEADERS = "http://168.63.129.16/machine", {"x-ms-version": "2012-11-30"}
PACKET = "https://metadata.platformequinix.com/"
SCALEWAY = "http://169.254.42.42/"
SCALEWAY_FILES = (("ID", "instance_id"), ("LOCATION_ZONE_ID", "instance_location"), ("PRIVATE_IP", "private_ip"))
HETZNER = f"{LINK_LOCAL}/hetzner/v1/"
HETZNER_FILES = (("instance-id", "instance_id"), ("public-ipv4", "public_ipv4"), ("local-ipv4", "local_ipv4"))


def gcp(found: Found, session: Session) -> None:
    """Google: keys are lines `USER:KEY`, of the project and of the instance; expired ones do not count."""
    found.take_hostname(session.get(GCP + "instance/hostname", GCP_HEADERS))
    session.userdata(found, GCP + "instance/attributes/user-data", GCP_HEADERS)
    lines = [line for place in ("project", "instance")
             for line in session.optional(found, f"{GCP}{place}/attributes/ssh-keys", "", GCP_HEADERS).splitlines()]
    found.take_keys([line.partition(":")[2] for line in lines if not _expired(line, session.host.clock())])


def _expired(line: str, now: float) -> bool:
    """Whether a key's comment (`google-ssh {"expireOn": "2026-01-31T12:00:00+0000"}`) says that it must not be used any more."""
    mark, rest = line.partition('"expireOn":')[1:]
    if not mark:
        return False
    from datetime import datetime

    try:
        return datetime.fromisoformat(rest.split('"')[1]).timestamp() <= now
    except (ValueError, IndexError):
        return True


def azure(found: Found, session: Session) -> None:
    """Azure: every value in plain text but the user data, in base64; the platform waits to hear that the node is set up."""
    def value(name: str) -> str:
        return f"{AZURE}{name}{AZURE_QUERY}"

    session.get(value("compute/vmId"), AZURE_HEADERS)
    found.take_hostname(session.get(value("compute/name"), AZURE_HEADERS))
    found.ready = _azure_ready
    session.userdata(found, value("compute/userData"), AZURE_HEADERS)
    try:
        from binascii import a2b_base64

        found.userdata = a2b_base64(b"".join(found.userdata.split()), strict_mode=True)
    except ValueError:
        found.userdata = b""
        found.faults.append("the user data is not base64")
    found.take_keys([session.optional(found, value("compute/publicKeys/0/keyData"), "", AZURE_HEADERS)])
    for name in AZURE_FILES:
        session.optional(found, value(name), name.replace("/", "_"), AZURE_HEADERS)


def _azure_ready(session: Session) -> None:
    goal = session.get(f"{WIRE}?comp=goalstate", WIRE_HEADERS).decode("utf-8", "replace")
    container, instance = (goal.partition(f"<{name}>")[2].partition(f"</{name}>")[0] for name in ("ContainerId", "InstanceId"))
    health = ('<?xml version="1.0" encoding="utf-8"?><Health><GoalStateIncarnation>1</GoalStateIncarnation>'
              f"<Container><ContainerId>{container}</ContainerId><RoleInstanceList><Role><InstanceId>{instance}</InstanceId>"
              "<Health><State>Ready</State></Health></Role></RoleInstanceList></Container></Health>")
    session.get(f"{WIRE}?comp=health", {**WIRE_HEADERS, "x-ms-agent-name": "WALinuxAgent", "Content-Type": "text/xml;charset=utf-8"},
                method="POST", body=health.encode())


def packet(found: Found, session: Session) -> None:
    """Packet: one JSON document of a public server, which any node reaches: whatever it says to others, they are not there."""
    try:
        document = _document(session.get(PACKET + "metadata", public=True))
        name = _required(document, "hostname")
    except KairosError as error:
        raise AbsentError(error.message) from None
    found.take_hostname(name.encode())
    session.userdata(found, PACKET + "userdata", public=True)
    if found.userdata.startswith(b"#!ipxe"):
        found.userdata = b""
    found.take_keys(_texts(document.get("ssh_keys")))


def scaleway(found: Found, session: Session) -> None:
    """Scaleway: lines KEY=VALUE; it gives user data only to who proves to be root."""
    text = session.get(SCALEWAY + "conf").decode("utf-8", "replace")
    given = values(text)
    found.take_hostname(_required(given, "HOSTNAME").encode())
    session.userdata(found, SCALEWAY + "user_data/cloud-init", privileged=True)
    count = given.get("SSH_PUBLIC_KEYS", "0")
    found.take_keys([given.get(f"SSH_PUBLIC_KEYS_{index}_KEY", "") for index in range(int(count) if count.isdecimal() else 0)])
    for key, name in (*SCALEWAY_FILES, ("PUBLIC_IP_ADDRESS", "public_ip")):
        if given.get(key):
            found.files[name] = given[key].encode()


def hetzner(found: Found, session: Session) -> None:
    """Hetzner: one YAML document; servers without it still give one value an address (docs/reference/datasource.md)."""
    try:
        document = _document(session.get(HETZNER + "metadata"))
    except UnknownError:
        _old_hetzner(found, session)
        return
    found.take_hostname(_required(document, "hostname").encode())
    session.userdata(found, HETZNER + "userdata")
    found.take_keys(_texts(document.get("public-keys")))
    for key, name in HETZNER_FILES:
        value = document.get(key)
        if isinstance(value, str) and value:
            found.files[name] = value.encode()


def _old_hetzner(found: Found, session: Session) -> None:
    base = f"{LINK_LOCAL}/{METADATA}"
    found.take_hostname(session.get(base + "hostname"))
    session.userdata(found, f"{LINK_LOCAL}/latest/user-data")
    keys = session.optional(found, base + "public-keys", "")
    if keys:
        from kairos_boot.system.plainyaml import load

        found.take_keys(_texts(load(keys.encode())))
    for name, path in (("public_ipv4", "public-ipv4"), ("local_ipv4", "local-ipv4"), ("instance_id", "instance-id")):
        session.optional(found, base + path, name)


def _document(raw: bytes) -> dict[str, object]:
    """A map in YAML or JSON. KairosError: it is something else."""
    from kairos_boot.system.plainyaml import load

    document = load(raw)
    if not isinstance(document, dict):
        raise KairosError("it answers something else than metadata")
    return document


def _required(document: dict[str, object] | dict[str, str], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise KairosError(f"its metadata has no {key}")
    return value


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
