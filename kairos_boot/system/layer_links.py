"""Where the members of an image's layers belong: what an upper layer has below a lower layer's link goes where the link leads, inside the image.

So a layer with `lib/x` over one in which `lib` is a link to `usr/lib` means `usr/lib/x`, as container runtimes have it; a layer that
has `lib` itself, as a directory or as something that is gone, replaces the link.
"""

from __future__ import annotations

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
HOPS = 40
"""So many links may follow each other, as in the kernel."""


class Links:
    """The symbolic links of the layers so far, by their paths below the image's root; the lowest layer comes first."""

    def __init__(self) -> None:
        self._links: dict[str, str] = {}
        self._known: dict[str, str] = {}

    def take(self, members: Iterable[tuple[str, str | None, bool]]) -> dict[str, str]:
        """The paths of one more layer that lie elsewhere than they are written, and where; *members* are path, what a link says, whether a directory.

        KairosError: a path lies below links that lead to each other.
        """
        new: dict[str, str] = {}
        moved: dict[str, str] = {}
        for name, link, directory in sorted((member for member in members if member[0]), key=_order):
            place = self._place(name)
            if place != name:
                moved[name] = place
            parent, _, base = place.rpartition("/")
            if base == OPAQUE:
                self._forget(parent, below=True)
            elif base.startswith(WHITEOUT):
                self._forget(f"{parent}/{base[len(WHITEOUT):]}".lstrip("/"), below=True)
            else:
                self._forget(place, below=not directory)
                if link is not None:
                    new[place] = link
        self._links.update(new)
        self._known.clear()
        return moved

    def place(self, name: str) -> str:
        """Where *name* lies over the layers so far. KairosError: see `take`."""
        return self._place(name)

    def _forget(self, path: str, *, below: bool) -> None:
        """The link at *path* is replaced, and those below it too if what was there is gone."""
        gone = [link for link in self._links if link == path or (below and (not path or link.startswith(f"{path}/")))]
        for link in gone:
            del self._links[link]
        if gone:
            self._known.clear()

    def _place(self, name: str) -> str:
        parent, slash, base = name.rpartition("/")
        if not self._links or not slash:
            return name
        if parent not in self._known:
            self._known[parent] = self._lead(parent)
        return f"{self._known[parent]}/{base}".lstrip("/")

    def _lead(self, path: str) -> str:
        """Where the directory *path* is when its links are followed; nothing leads above the image's root."""
        done: list[str] = []
        todo, hops = path.split("/")[::-1], 0
        while todo:
            part = todo.pop()
            if part == "..":
                del done[-1:]
            elif part not in ("", "."):
                target = self._links.get("/".join((*done, part)))
                if target is None:
                    done.append(part)
                    continue
                hops += 1
                if hops > HOPS:
                    raise KairosError(f"it has something below {path!r}, where links lead in a circle")
                if target.startswith("/"):
                    done = []
                todo.extend(target.split("/")[::-1])
        return "/".join(done)


def _order(member: tuple[str, str | None, bool]) -> tuple[int, bool]:
    """Directories before what is in them, and what hides before what is there instead."""
    name = member[0]
    return name.count("/"), not name.rpartition("/")[2].startswith(WHITEOUT)
