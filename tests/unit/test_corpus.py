"""The published configurations load, with warnings only for what is really unknown (../shared/corpus when present)."""

from __future__ import annotations

from pathlib import Path

import pytest

from kairos_boot.cloudconfig.decode import decode
from kairos_boot.cloudconfig.model import Problem

CORPUS = Path(__file__).parents[3] / "shared/corpus"
FILES = sorted(p for p in CORPUS.glob("*/*") if p.suffix in (".yaml", ".yml"))
REFUSED = {"docs/examples-core-1.yaml": 4, "docs/examples-core-2.yaml": 8, "docs/reference-stage-modules-11.yaml": 10, "examples/auroraboot-master-template.yaml": 7}
"""Documents that are not valid, and the line that says so."""
KUBERNETES = {"apiVersion", "kind", "metadata", "spec", "type", "stringData"}
UNKNOWN = {
    "defaults/08_grub.yaml": {"permsisions"}, "defaults/10_accounting.yaml": {"permsisions"}, "docs/advanced-bundles-4.yaml": {"example"},
    "docs/examples-boot-assessment-trusted-boot-1.yaml": {"enabled"}, "docs/examples-boot-assessment-trusted-boot-2.yaml": {"enabled"},
    "docs/examples-keylime-1.yaml": {"name"}, "docs/reference-configuration-12.yaml": {"systctl"}, "docs/reference-stage-modules-10.yaml": {"systctl"},
    **{f"examples/builds-ubuntu-{v}-fips-pro-attach-config.yaml": {"token", "enable_services"} for v in ("20.04", "22.04", "24.04")},
    "examples/plans-network_token_rotation.yaml": KUBERNETES, "examples/plans-system-upgrade.yaml": KUBERNETES,
}
"""Keys that nothing reads: misspelt, of Kubernetes, or of another program."""

pytestmark = pytest.mark.skipif(not FILES, reason="the published configurations are not here")


def problems(path: Path) -> tuple[str, tuple[Problem, ...]]:
    name = str(path.relative_to(CORPUS))
    return name, decode(path.read_bytes(), name).problems


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(CORPUS)))
def test_a_published_document_loads_or_is_refused_at_the_right_line(path: Path) -> None:
    name, found = problems(path)
    errors = [p for p in found if p.severity == "error"]
    if name in REFUSED:
        assert [int(p.where.split(":")[1]) for p in errors] == [REFUSED[name]]
        return
    assert not errors
    assert {p.where.rsplit(".", 1)[-1].rsplit(": ", 1)[-1] for p in found if p.severity == "warning" and "only the first YAML document" not in p.message} <= UNKNOWN.get(name, set())
    document = decode(path.read_bytes(), name)
    assert all(step.source == name for stage in document.stages for step in document.steps(stage))


def test_every_unknown_key_is_told() -> None:
    told = {name for name, found in map(problems, FILES) if any(p.severity == "warning" for p in found)}
    assert told == set(UNKNOWN)
