"""Metadata services that give one value an address: a table of data, and one way to ask (docs/reference/datasource.md)."""

from __future__ import annotations

from kairos_boot.actions.datasource_found import UnknownError
from kairos_boot.records import NOTHING, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kairos_boot.actions.datasource_found import Found, Session


@record
class Service:
    """A metadata service below *base*; *files* are the names below /run/config and where their content is."""

    base: str
    hostname: str
    userdata: str
    keys: str = ""
    files: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = NOTHING
    tokens: str = ""
    """Where a session token is given; a service without this (IMDSv1) is asked without one."""


LINK_LOCAL = "http://169.254.169.254"
"""Where nearly every service is."""
METADATA = "latest/meta-data/"
TOKEN_SECONDS = "21600"  # noqa: S105 - a lifetime
EC2_FILES = (("public_ipv4", METADATA + "public-ipv4"), ("local_ipv4", METADATA + "local-ipv4"),
             ("availability_zone", METADATA + "placement/availability-zone"), ("instance_type", METADATA + "instance-type"),
             ("instance_id", METADATA + "instance-id"), ("local_hostname", METADATA + "local-hostname"))
EC2_KEYS = METADATA + "public-keys/0/openssh-key"

SERVICES: dict[str, Service] = {
    "aws": Service(f"{LINK_LOCAL}/", METADATA + "hostname", "latest/user-data", EC2_KEYS, EC2_FILES, tokens="latest/api/token"),
    "openstack": Service(f"{LINK_LOCAL}/", METADATA + "hostname", "latest/user-data", EC2_KEYS, EC2_FILES),
    "vultr": Service(
        f"{LINK_LOCAL}/", "v1/hostname", "latest/user-data", "v1/public-keys",
        (("public_ipv4", "v1/interfaces/0/ipv4/address"), ("private_ipv4", "v1/interfaces/1/ipv4/address"),
         ("private_netmask", "v1/interfaces/1/ipv4/netmask"), ("region_code", "v1/region/regioncode"), ("instance_id", "v1/instanceid"))),
    "digitalocean": Service(
        f"{LINK_LOCAL}/metadata/v1/", "hostname", "user-data", "public-keys",
        (("public_ipv4", "interfaces/public/0/ipv4/address"), ("private_ipv4", "interfaces/private/0/ipv4/address"), ("region", "region"),
         ("id", "id"))),
    "metaldata": Service(
        "http://metaldata/get/", "meta/hostname", "user", "meta/authorized-keys",
        tuple((name, f"meta/{name}") for name in ("public_ipv4", "private_ipv4", "failure_domain", "machine_id", "machine_type"))),
}


def ask(service: Service, found: Found, session: Session) -> None:
    """Fill *found* from *service*, what matters most first. AbsentError: it is not there."""
    headers = dict(service.headers)
    if service.tokens:
        token = _token(service, session)
        if token:
            headers["X-aws-ec2-metadata-token"] = token
    found.take_hostname(session.get(service.base + service.hostname, headers))
    session.userdata(found, service.base + service.userdata, headers)
    if service.keys:
        found.take_keys([session.optional(found, service.base + service.keys, "", headers)])
    for name, path in service.files:
        session.optional(found, service.base + path, name, headers)


def _token(service: Service, session: Session) -> str:
    """A token for this node, or nothing where the service knows none: then what it says without one counts."""
    from kairos_boot.system.http import StatusError

    try:
        raw = session.get(service.base + service.tokens, {"X-aws-ec2-metadata-token-ttl-seconds": TOKEN_SECONDS}, method="PUT")
    except (StatusError, UnknownError):
        return ""
    text = raw.decode("ascii", "replace").strip()
    return text if text.isprintable() and text.isascii() else ""
