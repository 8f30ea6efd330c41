"""What is for repositories of configurations: the schema's file, and the hook that checks documents before a commit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
SCHEMA = TOP / "packaging/schema"


def test_the_files_are_what_the_program_says_now(tmp_path: Path) -> None:
    """`make schema` writes them; a form that changed needs another version in its name."""
    subprocess.run([sys.executable, SCHEMA / "write.py", tmp_path], check=True)
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text() for path in SCHEMA.glob("*.json")}


def test_the_schema_has_the_form_of_a_store_of_schemas() -> None:
    entry = json.loads((SCHEMA / "catalog-entry.json").read_text())
    [name] = [path.name for path in SCHEMA.glob("kairos-boot-*.json")]
    schema = json.loads((SCHEMA / name).read_text())
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema["$id"] in entry["versions"].values()
    assert schema["$id"].endswith(f"/{name}")
    assert schema["title"]
    assert schema["description"] == entry["description"]


@pytest.mark.parametrize(("path", "checked"), [
    ("oem/90_custom.yaml", True), ("nodes/edge/system/oem/00_rootfs.yaml", True), ("usr/local/cloud-config/x.yaml", True), ("site/edge.kairos.yaml", True),
    ("docker-compose.yaml", False), ("poem/x.yaml", False), ("k8s/deployment.yml", False),
])  # fmt: skip
def test_the_hook_checks_documents_of_nodes_alone(path: str, checked: bool) -> None:
    [hook, *_] = yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text())
    assert bool(re.search(hook["files"], path)) == checked


@pytest.mark.parametrize(("text", "code"), [("stages: {boot: [{name: x, commands: [echo x]}]}\n", 0), ("stages: {boot: [{files: [{content: x}]}]}\n", 1)])
def test_the_hook_fails_where_a_document_has_an_error(tmp_path: Path, text: str, code: int) -> None:
    """As it is called: the files are added to its entry."""
    [hook, *_] = yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"].split()[0] == "kairos-boot"
    (tmp_path / "a.yaml").write_text(text)
    run = subprocess.run([sys.executable, "-m", "kairos_boot", *hook["entry"].split()[1:], str(tmp_path / "a.yaml")], cwd=TOP, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stdout + run.stderr
    assert str(tmp_path / "a.yaml") in run.stdout + run.stderr or not code
