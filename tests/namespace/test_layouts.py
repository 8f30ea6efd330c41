"""Random layouts, booted twice and with a new image: what is written lasts where it should and nowhere else, and all that is said of it is true (D6, D11).

`KAIROS_LAYOUTS=N` tries N of them, `KAIROS_LAYOUTS=A-B` those seeds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root
BATCH = 20


def _seeds() -> range:
    first, dash, last = os.environ.get("KAIROS_LAYOUTS", "60").partition("-")
    return range(int(first), int(last) + 1) if dash else range(int(first))


@pytest.mark.parametrize("start", range(_seeds().start, _seeds().stop, BATCH))
def test_what_is_written_lasts_where_it_should_and_nowhere_else(unshared: Callable[..., Any], start: int) -> None:
    """A failure names the seed and the layout."""
    told = unshared(f"""
import shutil
import random_layouts
wrong = []
for seed in range({start}, {min(start + BATCH, _seeds().stop)}):
    os.mkdir(f"{{home}}/{{seed}}")
    try:
        found = random_layouts.check(seed, f"{{home}}/{{seed}}")
    except Exception as error:
        found = [f"{{type(error).__name__}}: {{error}}"]
    if found:
        layout = random_layouts.Layout(seed)
        wrong.append([f"seed {{seed}}", *found, layout.env, f"links {{layout.links}}, directories {{layout.directories}}, persistent partition {{layout.there}}"])
    shutil.rmtree(f"{{home}}/{{seed}}", ignore_errors=True)
tell(wrong)
""")
    assert told == [], "\n".join("\n".join(item) for item in told)
