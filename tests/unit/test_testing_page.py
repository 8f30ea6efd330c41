"""What docs/testing-configurations.md shows is so, and the hook takes the files that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from kairos_boot.cli.main import run
from kairos_boot.golden import form

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs/testing-configurations.md").read_text(encoding="utf-8")
GOLDEN, *_ = re.findall(r"^```yaml\n(cases:.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SHOWN = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("old", "new", "code", "shown"), [
    ("", "", 0, SHOWN[0].split("\n", 1)[1]), ("enable: [nginx", "enable: [apache2", 1, "1..1\n" + SHOWN[1])], ids=["as expected", "another unit"])
def test_the_example_prints_what_the_page_shows(old: str, new: str, code: int, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("golden.yaml").write_text(GOLDEN.replace(old, new) if old else GOLDEN)
    assert run(["test", "golden.yaml"]) == code
    assert capsys.readouterr().out == shown


def test_the_page_has_every_key() -> None:
    rows = {name for line in PAGE.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert rows == {*form.CASE, *form.EXPECT}


def test_the_hook_takes_the_files_that_the_page_says() -> None:
    [hook] = [each for each in yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")) if each["id"] == "kairos-boot-test"]
    assert hook["entry"] == "kairos-boot test"
    assert [name for name in ("golden.yaml", "a/web-golden.yml", "oem/90_web.yaml", "mygolden.yaml") if re.search(hook["files"], name)] == ["golden.yaml", "a/web-golden.yml"]
