"""datasource against a metadata service of ours, in a network of the test's own: every provider, from the step to the files."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kairos_boot.actions.base import Note, Told
from kairos_boot.cloudconfig.model import Step
from kairos_boot.cloudconfig.plain import build
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.modules import datasource
from kairos_boot.system.host import Host
from tests.namespace.cloud import LINK_LOCAL, SCALEWAY, WIRE, Cloud, Network, Page, nameservers
from tests.plans import heard

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a network namespace")]
KEYS = ("ssh-ed25519 AAAAC3Nz one@example", "ssh-rsa AAAAB3Nz two@example")
USERDATA = b"#cloud-config\nhostname: 'from-{{ .user }}'\n"
ALL = ("cdrom", "gcp", "openstack", "aws", "azure", "hetzner", "packet", "vultr", "digitalocean", "metaldata", "vmware", "config-drive", "maas",
       "scaleway")
STORED = "/oem/95_userdata"


class Node(Host):
    """A node in a directory, with what the metadata is applied to."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root), clock=lambda: 1_750_000_000.0)
        for path, text in (("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("/etc/hosts", "127.0.0.1 localhost\n"), ("/root/.keep", "")):
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            (root / path[1:]).write_text(text)
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.errors: list[str] = []
        self.said: list[str] = []

    def pull(self, *providers: str, path: str = STORED, **more: Any) -> list[bool]:
        """Run a step as the runner does; what changed, an action each."""
        step = build(Step, {"source": "/oem/a.yaml", "place": "stages.s[0]", "keys": ("datasource",),
                            "datasource": {"providers": list(providers), "path": path}, **more})
        self.warnings, self.notes, self.errors, self.said = [], [], [], []
        changes = []
        for action, came in heard(datasource.plan(step, Facts(read=self.read)), lambda action: action.apply(self)):
            if isinstance(action, Note):
                (self.notes if action.quiet else self.warnings).append(action.describe())
            if isinstance(came, KairosError):
                self.errors.append(str(came))
            else:
                changes.append(bool(came))
            self.said.append(action.describe() + (f" ({came.note})" if isinstance(came, Told) and came.note else ""))
        return changes

    def files(self, directory: str = "/run/config") -> dict[str, str]:
        """Everything below *directory*: path to content."""
        base = self.root + directory
        return {f"{folder}/{name}"[len(base) + 1:]: Path(folder, name).read_text() for folder, _, names in os.walk(base) for name in names}

    def state(self) -> dict[str, tuple[int, ...]]:
        """What a write would change."""
        return {f"{folder}/{name}": (s.st_ino, s.st_mtime_ns, s.st_ctime_ns, s.st_mode) for folder, _, names in os.walk(self.root)
                for name in (*names, ".") for s in [os.lstat(f"{folder}/{name}")]}

    def keys(self) -> list[str]:
        """The keys that open root's account."""
        try:
            return Path(self.root + "/root/.ssh/authorized_keys").read_text().splitlines()
        except FileNotFoundError:
            return []

    def hostname(self) -> str:
        """The name that the node is told to have."""
        try:
            return Path(self.root + "/etc/hostname").read_text()
        except FileNotFoundError:
            return ""


@pytest.fixture
def network() -> Iterator[Network]:
    """A network with the loopback interface alone."""
    made = Network()
    yield made
    made.close()


@pytest.fixture
def cloud(network: Network) -> Iterator[Cloud]:
    """The server, at every address that a provider uses."""
    network.ip("link set lo up")
    for address in (LINK_LOCAL, SCALEWAY, WIRE, *nameservers()):
        if not address.startswith("127."):
            network.ip(f"addr add {address}/32 dev lo")
    made = Cloud()
    yield made
    made.close()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node without user data."""
    return Node(tmp_path / "node")


def check(node: Node, provider: str, files: dict[str, str], keys: Sequence[str] = KEYS, path: str = STORED) -> None:
    """All that a provider gave has come to its place, once."""
    assert node.errors == []
    assert node.warnings == []
    stored = node.files(path)
    assert stored.pop("userdata") == stored.pop("userdata.yaml") == USERDATA.decode()
    assert {os.stat(f"{node.root}{path}/{name}").st_mode & 0o777 for name in ("userdata", "userdata.yaml")} == {0o600}
    assert node.files() == {**files, "hostname": "node01", **({"ssh/authorized_keys": "".join(f"{key}\n" for key in keys)} if keys else {})}
    assert node.hostname() == "node01\n"
    assert "127.0.0.1 localhost node01\n" in node.files("/etc")["hosts"]
    assert node.keys() == list(keys)
    assert any(f"(found: {provider})" in text for text in node.said)
    before = node.state()
    assert not any(node.pull(provider, path=path)), "the second run changes something"
    assert node.state() == before


EC2 = {"meta-data/hostname": "node01", "meta-data/public-ipv4": "192.0.2.1", "meta-data/local-ipv4": "10.0.0.1",
       "meta-data/placement/availability-zone": "zone-a", "meta-data/instance-type": "t.small", "meta-data/instance-id": "i-1",
       "meta-data/local-hostname": "local01", "meta-data/public-keys/0/openssh-key": KEYS[0] + "\n", "user-data": USERDATA.decode()}
EC2_FILES = {"public_ipv4": "192.0.2.1", "local_ipv4": "10.0.0.1", "availability_zone": "zone-a", "instance_type": "t.small",
             "instance_id": "i-1", "local_hostname": "local01"}


@pytest.mark.parametrize("provider", ["aws", "openstack"])
def test_ec2_like_services_give_name_key_addresses_and_user_data(cloud: Cloud, node: Node, provider: str) -> None:
    cloud.give(f"{LINK_LOCAL}/latest/", EC2)
    node.pull(provider)
    check(node, provider, EC2_FILES, KEYS[:1])


def test_aws_is_asked_with_a_session_token_where_it_wants_one(cloud: Cloud, node: Node) -> None:
    cloud.pages[f"PUT {LINK_LOCAL}/latest/api/token"] = Page(b"TOKEN==", needs={"X-aws-ec2-metadata-token-ttl-seconds": "21600"})
    cloud.give(f"{LINK_LOCAL}/latest/", EC2, lambda body: Page(body, needs={"X-aws-ec2-metadata-token": "TOKEN=="}))
    node.pull("aws")
    check(node, "aws", EC2_FILES, KEYS[:1])


@pytest.mark.parametrize("status", [403, 404, 405, 500])
def test_aws_without_tokens_is_asked_without_one(cloud: Cloud, node: Node, status: int) -> None:
    cloud.pages[f"PUT {LINK_LOCAL}/latest/api/token"] = Page(b"", status)
    cloud.give(f"{LINK_LOCAL}/latest/", EC2)
    node.pull("aws")
    check(node, "aws", EC2_FILES, KEYS[:1])


def test_gcp_gives_what_its_header_asks_for_and_no_expired_key(cloud: Cloud, node: Node) -> None:
    expired = 'old:ssh-rsa OLD google-ssh {"userName":"old","expireOn":"2024-12-04T20:12:00+0000"}'
    cloud.give("metadata.google.internal/computeMetadata/v1/", {
        "instance/hostname": "node01", "project/attributes/ssh-keys": f"me:{KEYS[0]}\n{expired}\n", "instance/attributes/ssh-keys": f"you:{KEYS[1]}",
        "instance/attributes/user-data": USERDATA}, lambda body: Page(body, needs={"Metadata-Flavor": "Google"}))
    node.pull("gcp")
    check(node, "gcp", {})


def test_azure_gives_text_and_base64_and_hears_that_the_node_is_ready(cloud: Cloud, node: Node) -> None:
    query = "?api-version=2021-01-01&format=text"
    values: dict[str, bytes | str] = {"compute/vmId": "vm-1", "compute/name": "node01", "compute/publicKeys/0/keyData": KEYS[0] + "\r\n",
              "network/interface/0/ipv4/ipAddress/0/publicIpAddress": "192.0.2.1", "network/interface/0/ipv4/ipAddress/0/privateIpAddress": "10.0.0.1",
              "compute/zone": "", "compute/userData": base64.encodebytes(USERDATA)}
    cloud.give(f"{LINK_LOCAL}/metadata/instance/", {name + query: body for name, body in values.items()}, lambda body: Page(body, needs={"Metadata": "true"}))
    cloud.pages[f"{WIRE}/machine?comp=goalstate"] = Page(
        b"<GoalState><Container><ContainerId>C-1</ContainerId><RoleInstance><InstanceId>I-1</InstanceId></RoleInstance></Container></GoalState>",
        needs={"x-ms-version": "2012-11-30"})
    cloud.pages[f"POST {WIRE}/machine?comp=health"] = Page(b"", needs={"x-ms-agent-name": "WALinuxAgent", "x-ms-version": "2012-11-30"})
    node.pull("azure")
    assert cloud.requests[-1] == f"POST {WIRE}/machine?comp=health"
    for words in ("<ContainerId>C-1</ContainerId>", "<InstanceId>I-1</InstanceId>", "<State>Ready</State>", "<GoalStateIncarnation>1<"):
        assert words in cloud.bodies[-1].decode()
    check(node, "azure", {"network_interface_0_ipv4_ipAddress_0_publicIpAddress": "192.0.2.1",
                          "network_interface_0_ipv4_ipAddress_0_privateIpAddress": "10.0.0.1", "compute_vmId": "vm-1"}, KEYS[:1])


def test_azure_is_used_although_it_does_not_hear_of_it(cloud: Cloud, node: Node) -> None:
    query = "?api-version=2021-01-01&format=text"
    cloud.give(f"{LINK_LOCAL}/metadata/instance/compute/", {f"vmId{query}": "1", f"name{query}": "node01", f"userData{query}": base64.b64encode(USERDATA)})
    node.pull("azure")
    assert node.errors == []
    assert len(node.warnings) == 1
    assert "azure could not be told" in node.warnings[0]
    assert node.files(STORED)["userdata.yaml"] == USERDATA.decode()


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A certificate for the public server, and the only one that is trusted."""
    pair = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    name = "metadata.platformequinix.com"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
                    f"subjectAltName=DNS:{name}", "-keyout", pair[1], "-out", pair[0]], check=True, capture_output=True, timeout=60)
    monkeypatch.setenv("SSL_CERT_FILE", pair[0])
    return pair


@pytest.mark.parametrize("userdata", [USERDATA, b"#!ipxe\nboot\n"])
def test_packet_is_asked_over_verified_tls(cloud: Cloud, node: Node, certificate: tuple[str, str], userdata: bytes) -> None:
    cloud.serve(443, certificate)
    cloud.give("metadata.platformequinix.com/", {"metadata": json.dumps({"hostname": "node01", "ssh_keys": KEYS}), "userdata": userdata})
    node.pull("packet")
    if userdata is USERDATA:
        check(node, "packet", {})
    else:
        assert node.files(STORED) == {}
        assert node.hostname() == "node01\n"


def test_packet_without_a_trusted_certificate_is_not_believed(cloud: Cloud, node: Node, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/hostname")
    cloud.serve(443, certificate)
    cloud.give("metadata.platformequinix.com/", {"metadata": json.dumps({"hostname": "node01"}), "userdata": USERDATA})
    node.pull("packet")
    assert node.errors == [], "a public server that any node reaches says nothing of this node"
    assert "no metadata/userdata found (packet: " in node.notes[0]
    assert "TLS" in node.notes[0]
    assert node.files() == {}


def test_scaleway_is_asked_from_a_port_that_proves_root(cloud: Cloud, node: Node) -> None:
    conf = (f"HOSTNAME=node01\nID=id-1\nLOCATION_ZONE_ID=par-1\nPRIVATE_IP=10.0.0.1\nPUBLIC_IP_ADDRESS=192.0.2.1\nSSH_PUBLIC_KEYS=2\n"
            f"SSH_PUBLIC_KEYS_0_KEY='{KEYS[0]}'\nSSH_PUBLIC_KEYS_1_KEY='{KEYS[1]}'\n")
    cloud.give(f"{SCALEWAY}/", {"conf": conf})
    cloud.pages[f"{SCALEWAY}/user_data/cloud-init"] = Page(USERDATA, privileged=True)
    node.pull("scaleway")
    check(node, "scaleway", {"instance_id": "id-1", "instance_location": "par-1", "private_ip": "10.0.0.1", "public_ip": "192.0.2.1"})


def test_vultr_gives_user_data_too(cloud: Cloud, node: Node) -> None:
    cloud.give(f"{LINK_LOCAL}/", {
        "v1/hostname": "node01", "v1/interfaces/0/ipv4/address": "192.0.2.1", "v1/interfaces/1/ipv4/address": "10.0.0.1",
        "v1/interfaces/1/ipv4/netmask": "255.0.0.0", "v1/region/regioncode": "AMS", "v1/instanceid": "7", "v1/public-keys": "\n".join(KEYS),
        "latest/user-data": USERDATA})
    node.pull("vultr")
    check(node, "vultr", {"public_ipv4": "192.0.2.1", "private_ipv4": "10.0.0.1", "private_netmask": "255.0.0.0", "region_code": "AMS", "instance_id": "7"})


def test_digitalocean(cloud: Cloud, node: Node) -> None:
    cloud.give(f"{LINK_LOCAL}/metadata/v1/", {
        "hostname": "node01", "interfaces/public/0/ipv4/address": "192.0.2.1", "interfaces/private/0/ipv4/address": "10.0.0.1", "region": "ams3",
        "id": "42", "public-keys": "\n".join(KEYS), "user-data": USERDATA})
    node.pull("digitalocean")
    check(node, "digitalocean", {"public_ipv4": "192.0.2.1", "private_ipv4": "10.0.0.1", "region": "ams3", "id": "42"})


def test_metaldata(cloud: Cloud, node: Node) -> None:
    cloud.give("metaldata/get/", {
        "meta/hostname": "node01", "meta/public_ipv4": "192.0.2.1", "meta/private_ipv4": "10.0.0.1", "meta/failure_domain": "a", "meta/machine_id": "m",
        "meta/machine_type": "big", "meta/authorized-keys": "\n".join(KEYS), "user": USERDATA})
    node.pull("metaldata")
    check(node, "metaldata", {"public_ipv4": "192.0.2.1", "private_ipv4": "10.0.0.1", "failure_domain": "a", "machine_id": "m", "machine_type": "big"})


def test_hetzner_gives_one_document(cloud: Cloud, node: Node) -> None:
    document = f"hostname: node01\ninstance-id: 4711\npublic-ipv4: 192.0.2.1\nlocal-ipv4: ''\npublic-keys:\n- {KEYS[0]}\n- {KEYS[1]}\n"
    cloud.give(f"{LINK_LOCAL}/hetzner/v1/", {"metadata": document, "userdata": USERDATA})
    node.pull("hetzner")
    check(node, "hetzner", {"public_ipv4": "192.0.2.1", "instance_id": "4711"})


def test_hetzner_of_before_gives_its_keys_as_json(cloud: Cloud, node: Node) -> None:
    cloud.give(f"{LINK_LOCAL}/latest/", {**EC2, "meta-data/public-keys": json.dumps(KEYS)})
    node.pull("hetzner")
    check(node, "hetzner", {"public_ipv4": "192.0.2.1", "local_ipv4": "10.0.0.1", "instance_id": "i-1"})


@pytest.mark.parametrize("document", ["public-ipv4: 192.0.2.1\n", "- a list\n", "a: [\n", ""])
def test_a_document_that_is_not_hetzners_is_not_used(cloud: Cloud, node: Node, document: str) -> None:
    cloud.give(f"{LINK_LOCAL}/hetzner/v1/", {"metadata": document, "userdata": USERDATA})
    node.pull("hetzner")
    assert len(node.errors) == 1
    assert "datasource: hetzner: " in node.errors[0]
    assert node.files() == {}


@pytest.mark.parametrize("where", ["file", "cmdline"])
def test_maas_is_asked_with_a_signature(cloud: Cloud, node: Node, where: str) -> None:
    preseed = f"datasource:\n  MAAS:\n    metadata_url: http://{LINK_LOCAL}/MAAS/metadata/\n    consumer_key: c k\n    token_key: a/b\n    token_secret: s3cret\n"
    place = Path(node.root + ("/oem/maas/datasource.yaml" if where == "file" else "/proc/cmdline"))
    place.parent.mkdir(parents=True)
    place.write_text(preseed if where == "file" else f"quiet cloud-config-url=http://{LINK_LOCAL}/preseed\n")
    cloud.pages[f"{LINK_LOCAL}/preseed"] = preseed.encode()
    cloud.give(f"{LINK_LOCAL}/MAAS/metadata/2012-03-01/", {
        "meta-data/local-hostname": "node01", "meta-data/instance-id": "m-1", "meta-data/public-keys": "\n".join(KEYS), "user-data": USERDATA})
    node.pull("maas")
    signed = [headers["Authorization"] for headers in cloud.headers if "Authorization" in headers]
    assert len(signed) == 4
    assert len(set(signed)) == 4, "a nonce is used twice"
    for header in signed:
        assert header.startswith('OAuth oauth_consumer_key="c%20k", oauth_token="a%2Fb", oauth_signature_method="PLAINTEXT", oauth_signature="%26s3cret", ')
        assert header.endswith('oauth_version="1.0"')
    check(node, "maas", {"instance_id": "m-1"})


def test_maas_that_lacks_a_key_says_which(cloud: Cloud, node: Node) -> None:
    place = Path(node.root + "/oem/maas/datasource.yaml")
    place.parent.mkdir(parents=True)
    place.write_text("datasource: {MAAS: {metadata_url: 'http://x/', consumer_key: SECRET}}\n")
    node.pull("maas")
    assert "its configuration lacks token_key" in node.errors[0]
    assert "SECRET" not in node.errors[0]


def test_the_first_of_the_list_with_user_data_wins_whoever_answers_first(cloud: Cloud, node: Node) -> None:
    slow = b"#cloud-config\n# the slow one\n"
    cloud.give(f"{LINK_LOCAL}/metadata/v1/", {"hostname": "fast", "user-data": USERDATA})
    cloud.pages["metaldata/get/meta/hostname"] = Page(b"node01", delay=0.5)
    cloud.pages["metaldata/get/user"] = Page(slow, delay=0.5)
    node.pull("gcp", "metaldata", "digitalocean")
    assert node.files(STORED)["userdata"] == slow.decode()
    assert node.hostname() == "node01\n"


def test_a_provider_without_user_data_never_hides_one_that_has(cloud: Cloud, node: Node) -> None:
    cloud.give("metaldata/get/", {"meta/hostname": "empty"})
    cloud.give(f"{LINK_LOCAL}/metadata/v1/", {"hostname": "node01", "user-data": USERDATA})
    node.pull("metaldata", "digitalocean")
    check(node, "digitalocean", {}, ())


def test_name_and_keys_count_without_user_data(cloud: Cloud, node: Node) -> None:
    cloud.give("metaldata/get/", {"meta/hostname": "node01\n", "meta/authorized-keys": KEYS[0]})
    node.pull("gcp", "metaldata", "digitalocean")
    assert node.errors == []
    assert node.hostname() == "node01\n"
    assert node.keys() == [KEYS[0]]
    assert not Path(node.root + STORED).exists(), "the guard of the next run would take this for user data"


@pytest.mark.parametrize("provider", ["aws", "openstack", "gcp", "azure", "hetzner", "vultr", "digitalocean", "metaldata", "scaleway"])
@pytest.mark.parametrize(("status", "fails"), [(500, True), (503, True), (404, False), (403, False)])
def test_a_service_that_is_there_and_answers_wrongly_is_a_failure_that_names_it(cloud: Cloud, node: Node, provider: str, status: int, fails: bool) -> None:
    """Decision B14: a status below 500 is that of a service that is somebody else's."""
    cloud.otherwise = Page(b"", status)
    node.pull("packet", provider, timeout=60)
    assert [f"datasource: {provider}: " in error and f"the server answered {status}" in error for error in node.errors] == [True] * fails
    assert fails or "no metadata/userdata found" in node.notes[0]


def test_user_data_is_used_although_another_provider_answers_wrongly(cloud: Cloud, node: Node) -> None:
    """One before it in the list; those behind it may not even have been asked to the end."""
    cloud.give(f"{LINK_LOCAL}/latest/", EC2)
    cloud.pages["metaldata/get/meta/hostname"] = Page(b"", 500)
    node.pull("metaldata", "openstack")
    assert node.files(STORED)["userdata.yaml"] == USERDATA.decode()
    assert ["datasource: metaldata: " in error for error in node.errors] == [True]
    node.pull("openstack", "metaldata")
    assert node.errors == []


def test_a_service_of_maas_that_the_node_is_told_of_must_answer(cloud: Cloud, node: Node) -> None:
    place = Path(node.root + "/oem/maas/datasource.yaml")
    place.parent.mkdir(parents=True)
    place.write_text("datasource: {MAAS: {metadata_url: 'http://127.0.0.1:9/', consumer_key: a, token_key: b, token_secret: c}}\n")
    node.pull("maas")
    assert ["datasource: maas: " in error and "refused" in error for error in node.errors] == [True]


def test_user_data_that_cannot_be_fetched_is_a_failure_and_costs_nothing_else(cloud: Cloud, node: Node) -> None:
    cloud.give("metaldata/get/", {"meta/hostname": "node01"})
    cloud.pages["metaldata/get/user"] = Page(b"", 500)
    node.pull("metaldata")
    assert ["metaldata: the user data could not be fetched" in text for text in node.errors] == [True]
    assert node.hostname() == "node01\n"


def test_every_provider_of_the_default_list_together_on_one_cloud(cloud: Cloud, node: Node) -> None:
    cloud.give(f"{LINK_LOCAL}/latest/", EC2)
    node.pull(*ALL)
    assert node.errors == []
    assert node.files(STORED)["userdata.yaml"] == USERDATA.decode()
    assert any("(found: openstack)" in text for text in node.said)


def test_without_a_route_it_ends_at_once(network: Network, node: Node) -> None:
    start = time.monotonic()
    node.pull(*ALL)
    assert node.errors == []
    assert "no metadata/userdata found" in node.notes[0]
    assert time.monotonic() - start < 5


def test_a_service_that_never_answers_costs_at_most_the_budget(cloud: Cloud, node: Node) -> None:
    cloud.silent_names = True
    for path in ("latest/meta-data/hostname", "latest/user-data", "v1/hostname", "metadata/v1/hostname", "hetzner/v1/metadata"):
        cloud.pages[f"{LINK_LOCAL}/{path}"] = Page(status=0)
    start = time.monotonic()
    node.pull(*ALL, timeout=1.5)
    assert node.errors == []
    assert "no metadata/userdata found" in node.notes[0]
    assert "no answer within the 1.5 s of all providers" in node.notes[0]
    assert time.monotonic() - start < 6


def test_a_service_that_never_answers_costs_one_request(cloud: Cloud, node: Node) -> None:
    cloud.silent_names = True
    cloud.pages[f"{LINK_LOCAL}/metadata/v1/hostname"] = Page(status=0)
    start = time.monotonic()
    node.pull("gcp", "digitalocean", "metaldata", timeout=60)
    assert node.errors == []
    assert "(gcp: no answer to the name metadata.google.internal within 2 s; digitalocean: no answer within 2 s; metaldata: " in node.notes[0]
    assert time.monotonic() - start < 20


def test_a_service_that_gets_stuck_loses_nothing_that_it_gave(cloud: Cloud, node: Node) -> None:
    for path, body in EC2.items():
        cloud.pages[f"{LINK_LOCAL}/latest/{path}"] = Page(body.encode(), delay=0 if path in ("meta-data/hostname", "user-data") else 1.5)
    node.pull("openstack", timeout=2)
    assert [text for text in node.warnings if "openstack: not all that it was asked came in time" in text]
    assert node.files(STORED)["userdata"] == USERDATA.decode()
    assert node.hostname() == "node01\n"


def test_metadata_never_goes_through_a_proxy(cloud: Cloud, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    cloud.give(f"{LINK_LOCAL}/latest/", EC2)
    node.pull("openstack")
    check(node, "openstack", EC2_FILES, KEYS[:1])


def test_nothing_secret_is_said(cloud: Cloud, node: Node) -> None:
    secret = "#cloud-config\nusers:\n- name: [SECRET\n"
    cloud.give(f"{LINK_LOCAL}/latest/", {**EC2, "user-data": secret})
    cloud.pages[f"PUT {LINK_LOCAL}/latest/api/token"] = Page(b"SECRET-TOKEN")
    node.pull("aws")
    assert any(f"{STORED}/userdata:" in text for text in node.errors), "the place of the mistake is told"
    assert "SECRET" not in "".join(node.errors + node.warnings + node.said)


def test_an_initrd_without_tls_asks_all_the_same(cloud: Cloud, node: Node) -> None:
    cloud.give(f"{LINK_LOCAL}/latest/", EC2)
    cloud.serve(443)
    code = ("import sys; sys.modules.update(dict.fromkeys(('ssl', '_ssl')))\n"
            "from pathlib import Path; from tests.namespace.test_datasource_clouds import Node\n"
            f"node = Node(Path({node.root!r})); node.pull('packet', 'vultr', 'openstack'); print(node.errors, node.warnings)\n"
            f"node = Node(Path({node.root + '/other'!r})); node.pull('packet', 'vultr'); print(node.notes)")
    done = subprocess.run([sys.executable, "-c", code], check=False, text=True, capture_output=True, timeout=60, cwd=Path(__file__).parents[2])
    assert done.stdout.startswith("[] []\n"), done.stderr
    assert "packet: there is no TLS here" in done.stdout
    assert "internal error" not in done.stdout
    assert node.files(STORED)["userdata.yaml"] == USERDATA.decode()


MEASURE = """
import sys
sys.path[:0] = [{top!r}, "/usr/lib/python3/dist-packages"]
from kairos_boot.cloudconfig.model import Step
from kairos_boot.cloudconfig.plain import build
from kairos_boot.facts import Facts
from kairos_boot.modules import datasource
from kairos_boot.system.host import Host
host = Host({root!r})
step = build(Step, {{"source": "/a", "place": "s[0]", "keys": ("datasource",), "datasource": {{"providers": {providers!r}, "path": {path!r}}}}})
plan, told = datasource.plan(step, Facts(read=host.read)), None
try:
    while True:
        told = plan.send(told).apply(host)
except StopIteration:
    pass
heavy = ("pyroute2", "threading", "queue", "ssl", "urllib.request", "logging", "subprocess")
[peak] = [int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(peak, [name for name in heavy if name in sys.modules])
"""


@pytest.mark.parametrize("there", [True, False])
def test_a_search_takes_little_memory_and_loads_nothing_that_it_does_not_need(cloud: Cloud, node: Node, there: bool) -> None:
    """At most 20 MB, whoever answers; TLS is loaded when somebody speaks it."""
    if there:
        cloud.give(f"{LINK_LOCAL}/latest/", EC2)
    code = MEASURE.format(top=str(Path(__file__).parents[2]), root=node.root, providers=list(ALL), path=STORED)
    done = subprocess.run(["/usr/bin/python3", "-I", "-S", "-c", code], check=True, text=True, capture_output=True, timeout=60)
    memory, loaded = done.stdout.split(None, 1)
    assert int(memory) <= 20
    assert loaded == "[]\n"
    assert Path(node.root + STORED).exists() is there
