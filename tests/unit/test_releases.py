"""Which tags of a registry are releases for a node."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.registry import explained, tags
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.releases import Wanted, found, wanted
from kairos_boot.system.host import Host
from kairos_boot.system.process import Processes

if TYPE_CHECKING:
    from pathlib import Path

RELEASE = {"registry_and_org": "quay.io/kairos", "flavor": "debian", "flavor_release": "bookworm", "variant": "core", "targetarch": "amd64", "model": "generic", "version": "v4.2.0"}
KIND = "bookworm-core-amd64-generic-"
TAGS = [f"{KIND}{version}" for version in ("v4.2.0", "v4.9.0", "v4.10.0", "v4.1.9", "v5.0.0-rc1", "v5.0.0-rc10", "v5.0.0-rc9", "v4.10.0-k3sv1.30.1", "latest", "")]
TAGS += ["bookworm-core-arm64-generic-v9.0.0", "latest", "v9.0.0"]


def test_a_node_looks_where_its_image_came_from() -> None:
    assert wanted(RELEASE) == Wanted("quay.io/kairos/debian", KIND, "v4.2.0")
    assert wanted(RELEASE, "registry.example/x/").repository == "registry.example/x/debian"


@pytest.mark.parametrize(("key", "said"), [("registry_and_org", "--registry"), ("flavor", "KAIROS_FLAVOR"), ("model", "KAIROS_MODEL")])
def test_what_the_image_does_not_say_is_asked_for(key: str, said: str) -> None:
    with pytest.raises(KairosError) as error:
        wanted({**RELEASE, key: ""})
    assert said in str(error.value)


@pytest.mark.parametrize(("older", "unfinished", "versions"), [
    (False, False, ["v4.10.0-k3sv1.30.1", "v4.10.0", "v4.9.0"]),
    (True, False, ["v4.10.0-k3sv1.30.1", "v4.10.0", "v4.9.0", "v4.2.0", "v4.1.9"]),
    (False, True, ["v5.0.0-rc10", "v5.0.0-rc9", "v5.0.0-rc1", "v4.10.0-k3sv1.30.1", "v4.10.0", "v4.9.0"]),
])
def test_versions_are_compared_as_numbers_and_other_kinds_are_left_out(older: bool, unfinished: bool, versions: list[str]) -> None:
    assert found(TAGS, wanted(RELEASE), older=older, unfinished=unfinished) == [KIND + version for version in versions]


def test_a_long_list_of_tags_is_read_whole_and_without_warnings(tmp_path: Path) -> None:
    """Thousands of tags are more than what people read of an output, and skopeo warns on the side."""
    many = [f"v1.0.{number}-{'x' * 60}" for number in range(3000)]
    (tmp_path / "answer").write_text(json.dumps({"Repository": "r.example/os", "Tags": many}))
    program = tmp_path / "skopeo"
    program.write_text(f"#!/bin/sh\necho 'a {{warning}}' >&2\ncat {tmp_path}/answer\necho 'one more' >&2\n")
    program.chmod(0o755)
    host = Host("/", Processes(environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"}))
    assert tags(host, "r.example/os") == many


@pytest.mark.parametrize(("said", "fact"), [
    ('pinging container registry 127.0.0.1:40319: Get "https://127.0.0.1:40319/v2/": dial tcp 127.0.0.1:40319: connect: connection refused', "cannot be reached"),
    ("writing blob: igest did not match, expected sha256:403a5002, got sha256:429b", "something else than it promises"),
    ("received unexpected HTTP status: 503 Service Unavailable", "stopped half-way"),
    ("StatusCode: 403, <html>", "wants a login"),
    ("reading manifest: requested access (429): wait", "less often"),
])
def test_the_number_of_a_cause_is_a_word_and_no_part_of_a_port_or_a_digest(said: str, fact: str) -> None:
    assert fact in explained(said, "registry/image:1").message
