"""Every example of the reference runs as a golden test: its steps run in their order, and nothing goes wrong that is not named here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kairos_boot.cloudconfig.decode import decode
from kairos_boot.golden.cases import judge
from kairos_boot.golden.form import read

ELSEWHERE = {
    "authorized_keys-0": ["https://github.com/amy.keys: ", "unknown user: amy"],
    "downloads-0": ["https://files.example.com/agent-1.4: "],
    "git-0": ["https://git.example.com/site.git has no branch 'main'"],
    "layout-0": ["/srv/data.img: no such file or directory"],
    "unpack_images-0": ["cannot unpack oci-archive:/opt/tools.tar over /srv/tools"],
}
"""What an example asks of a network, a disk, an image or an earlier step, which the test does not have."""
SETTINGS = ("vm/swappiness", "net/ipv4/ip_forward", "net/ipv4/ip_local_port_range", "net/ipv4/conf/lo/rp_filter")
PAGES = sorted((Path(__file__).parents[2] / "docs/reference").glob("*.md"))
EXAMPLE = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, str]]:
    """The documents of the pages, by page and number."""
    found = []
    for page in PAGES:
        documents = [text for text in EXAMPLE.findall(page.read_text(encoding="utf-8")) if re.search(r"^stages:", text, re.MULTILINE)]
        found += [(f"{page.stem}-{number}", text) for number, text in enumerate(documents)]
    return found


@pytest.mark.parametrize(("name", "text"), examples(), ids=[name for name, _ in examples()])
def test_the_example_does_what_its_page_says(name: str, text: str) -> None:
    document = decode(text.encode(), "/oem/example.yaml")
    stages = list(dict.fromkeys(stage.removesuffix(".before").removesuffix(".after") for stage in document.stages))
    case = {"name": name, "configurations": [{"path": "/oem/example.yaml", "content": text}], "stages": stages,
            "files": {f"/proc/sys/{setting}": "0\n" for setting in SETTINGS}, "expect": {"problems": ELSEWHERE.get(name, [])}}
    verdict = judge(read(json.dumps({"cases": [case]}).encode(), "example.yaml")[0])
    assert not verdict.error
    assert verdict.differences == ()
