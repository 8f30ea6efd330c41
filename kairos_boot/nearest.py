"""The name that was probably meant: for keys, stages, steps, verbs and functions that nobody knows."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'X'?` for the likeliest of *known*, or nothing. Keys are written with `_`: a `-` is taken for one."""
    most = (len(word) + 2) // 3  # of a short list, so that a guess is rarely wrong
    close = nearest(word.replace("-", "_"), known, most) or nearest(word, known, most)
    return f"did you mean {close[0]!r}?" if close else ""


def nearest(word: str, known: Iterable[str], most: int = 0) -> list[str]:
    """The names that *word* was probably meant to be, the nearest first: at most three, none further away than *most* letters."""
    limit = max(1, min(most or len(word) // 3, 8))
    folded = word.casefold()
    found = []
    for name in known:
        if abs(len(name) - len(word)) > limit:
            continue
        distance = _distance(folded, name.casefold(), limit)
        if distance <= limit:
            found.append((distance, name))
            limit = max(1, min(limit, distance + 1))
    found.sort()
    return [name for distance, name in found if distance <= found[0][0] + 1][:3]


def _distance(one: str, two: str, limit: int) -> int:
    """So many insertions, deletions, replacements and swaps of neighbours apart, or more than *limit*."""
    while one and two and one[0] == two[0]:
        one, two = one[1:], two[1:]
    while one and two and one[-1] == two[-1]:
        one, two = one[:-1], two[:-1]
    if max(len(one), len(two)) > 64:
        return limit + 1
    older: list[int] = []
    last = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(two, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == two[j - 2] and one[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        older, last = last, row
    return last[-1]
