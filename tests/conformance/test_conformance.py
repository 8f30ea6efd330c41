"""The conformance cases, where they are present: what an existing node's configurations rely on."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SUITE = TOP.parent / "shared/conformance"
FILES = sorted(path.name for path in SUITE.glob("cases/*.yaml"))
# Cases that are not expected to pass, as "file: name", each with its reason. One that passes all the same must leave this list.
EXCEPTED: dict[str, str] = {}

pytestmark = [pytest.mark.root, pytest.mark.skipif(not FILES, reason="the conformance cases are not here (../shared/conformance)")]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as it is installed, with its byte code."""
    root = tmp_path_factory.mktemp("installed")
    subprocess.run([TOP / "packaging/install", "--destdir", root, "--compile"], check=True)
    return root / "usr/bin/kairos-boot"


@pytest.mark.parametrize("name", FILES or ["none"])
def test_conformance(name: str, program: Path) -> None:
    """All cases of one file pass, except those named above."""
    command = f"{program} run-stage --only {{args}} {{stage}} {{sources}}"
    words = [str(SUITE / "run"), "--json", "--command", command, "-k", f"^{re.escape(name)}: "]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=False)
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert results, done.stderr
    wrong = []
    for result in results:
        case = f"{result['file']}: {result['name']}"
        if result["passed"] and case in EXCEPTED:
            wrong.append(f"{case}: passes, and is excepted: {EXCEPTED[case]}")
        elif not result["passed"] and case not in EXCEPTED:
            wrong.append(f"{case} [{result['origin']}]: {'; '.join(map(str, result['differences']))[:1500]}")
    assert not wrong, "\n".join(wrong)
