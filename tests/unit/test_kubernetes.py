"""The Plan for the system-upgrade-controller: valid for the cluster, and the script in it is the one that is tested."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

PACKAGING = Path(__file__).resolve().parents[2] / "packaging/kubernetes"
CRD = Path(os.environ.get("KAIROS_SHARED", PACKAGING.parents[2] / "shared")) / "kubernetes/upgrade.cattle.io_plans.yaml"
"""The published definition, which is not ours to ship."""


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    """The documents of the Plan by their kind."""
    return {document["kind"]: document for document in yaml.safe_load_all((PACKAGING / "reset-plan.yaml").read_text())}


def test_the_script_of_the_plan_is_the_one_beside_it(documents: dict[str, Any]) -> None:
    assert documents["Secret"]["stringData"]["reset.sh"] == (PACKAGING / "reset.sh").read_text()
    assert subprocess.run([sys.executable, PACKAGING / "plan.py", "--check"], check=False).returncode == 0


def test_the_plan_runs_the_files_of_its_secret(documents: dict[str, Any]) -> None:
    plan, secret = documents["Plan"], documents["Secret"]
    [mounted] = plan["spec"]["secrets"]
    assert (mounted["name"], plan["metadata"]["namespace"]) == (secret["metadata"]["name"], secret["metadata"]["namespace"])
    [script] = plan["spec"]["upgrade"]["args"]
    folder, _, name = script.rpartition("/")
    assert (folder, name in secret["stringData"]) == (mounted["path"], True)
    assert f"{folder}/cloud-config.yaml" in secret["stringData"]["reset.sh"]


@pytest.mark.skipif(not CRD.exists(), reason="the published definition of Plans is not here")
def test_the_plan_is_valid_for_the_cluster(documents: dict[str, Any]) -> None:
    """Also without a key that the definition does not know, which the cluster would drop in silence."""
    [version] = [version for version in yaml.safe_load(CRD.read_text())["spec"]["versions"] if version["name"] == "v1"]
    schema = _closed(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"].pop("additionalProperties", None)
    jsonschema.validate(documents["Plan"], schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**documents["Plan"], "spec": {**documents["Plan"]["spec"], "concurency": 1}}, schema)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its objects closed for keys that it does not name."""
    closed = dict(schema)
    if "properties" in schema:
        closed["properties"] = {name: _closed(inner) for name, inner in schema["properties"].items()}
        closed.setdefault("additionalProperties", False)
    if isinstance(schema.get("items"), dict):
        closed["items"] = _closed(schema["items"])
    return closed


def test_the_plans_of_an_upgrade_are_valid_and_run_the_script_of_their_image() -> None:
    plans = list(yaml.safe_load_all((PACKAGING / "upgrade-plan.yaml").read_text()))
    assert [plan["spec"]["upgrade"].get("args") for plan in plans] == [["--recovery"], None]
    assert {plan["spec"]["upgrade"]["command"][0] for plan in plans} == {"/usr/sbin/suc-upgrade"}
    assert all(plan["spec"]["version"] for plan in plans)
    if not CRD.exists():
        pytest.skip("the definition of a Plan is not here")
    [version] = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    for plan in plans:
        jsonschema.validate(plan, version["schema"]["openAPIV3Schema"])
