"""Mutated and generated texts never crash or hang the loader, and each one that is dropped says where and why."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from kairos_boot.cloudconfig import dotnotation
from kairos_boot.cloudconfig.decode import decode
from kairos_boot.cloudconfig.lint import advice
from kairos_boot.cloudconfig.model import Document

COUNT = int(os.environ.get("KAIROS_BOOT_FUZZ", "1500"))
CORPUS = Path(__file__).parents[3] / "shared/corpus"
SEEDS = [
    (b"name: R\nx: &a {path: /a, permissions: 0644}\nstages:\n  s:\n  - name: x\n    after: [{name: init}]\n    files:\n    - <<: *a\n      content: |\n        text {{ .Values.x }}\n"
    b"    users: {ada: {groups: [a], lock_passwd: yes}}\n    layout: {expand_partition: {size: 1}}\n    timeout: 5m\n"),
    (b"#cloud-config\nusers:\n- default\n- {name: ada, groups: 'a, b', sudo: ['x'], ssh_import_id: [gh:x]}\nwrite_files:\n- {path: /a, permissions: '0644', append: true}\nruncmd:\n- [a, b]\n- c\n"
    b"groups: [a, {b: [c]}]\nntp: {servers: [a]}\npackages: [a, [b, 1]]\ngrowpart: {devices: [/]}\ntimezone: Etc/UTC\nstages: {s: [{name: y}]}\n"),
    "\ufeffstages: {s: [{name: ü}]}\n".encode("utf-16-le"),
    *(p.read_bytes() for p in sorted(CORPUS.glob("*/*.yaml"))[::7]),
]
PIECES = [b"&a ", b"*a", b"<<: *a\n", b"!!int ", b"!!binary ", b"!x ", b": ", b"\n- ", b"[", b"]", b"{", b"}", b"'", b'"', b"\t", b"\xff", b"\x00", b"#", b"|", b">", b"---\n", b"...\n", b"%YAML 1.1\n",
          b"~", b"null", b"? ", b"\xe2\x80\xa8", b"1e999", b"0x", b"-", b"\r\n", b"stages:", b"users: ", b"name: ", b"\xef\xbb\xbf", b"  "]


def mutated(rng: random.Random) -> bytes:
    """A seed with a few bytes, pieces or lines added, removed, doubled or exchanged."""
    data = rng.choice(SEEDS)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((0, 1, 1, 5, 40)))
        middle = rng.choice((b"", rng.choice(PIECES), data[at:end] * 2, bytes([rng.randrange(256)]), rng.choice(SEEDS)[at:end]))
        data = data[:at] + middle + data[end:]
    return data


def check(document: Document) -> None:
    """What every result promises."""
    if document.broken:
        assert not document.stages
        assert any(p.severity == "error" for p in document.problems)
    for problem in document.problems:
        assert problem.severity in ("error", "warning", "advice")
        assert problem.where.startswith("/d.yaml:")
        line, column = problem.where.split(": ")[0].split(":")[1:3]
        assert int(line) >= 1
        assert int(column) >= 1
        assert problem.message
    for stage in document.stages:
        for step in document.steps(stage):
            assert step.where("files", 0, "path").startswith("/d.yaml:")
    list(advice(document))


@pytest.mark.parametrize("seed", range(10))
def test_mutated_documents(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(COUNT // 10):
        check(decode(mutated(rng), "/d.yaml"))


def test_generated_command_lines() -> None:
    rng = random.Random(1)
    pieces = ["stages", ".", "s", "[0]", "[", "]", "=", "x", '"', "'", "\\", " ", "name", "commands", "files", "permissions", "0644", "#", "\n", "jobs", "dns", "{{", "a.before", "99999999"]
    for _ in range(COUNT):
        text = "stages.t[0].name=ok " * rng.randint(0, 1) + "".join(rng.choices(pieces, k=rng.randint(1, 25)))
        document = dotnotation.decode(text, "/d.yaml", name="<STDIN>")
        assert not document.broken
        assert all(p.severity in ("warning", "advice") for p in document.problems)
        check(document)
