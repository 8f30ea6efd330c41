"""The actions of a step, one after the other: each is planned when its predecessors were applied, and hears what became of them."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.modules import ORDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kairos_boot.actions.base import Action, Effect
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan


def fingerprint(step: Step) -> int:
    """What tells the content of *step* from another's, wherever it stands: of one program and one boot, no more."""
    from zlib import crc32

    from kairos_boot.cloudconfig.model import LOADER_FIELDS

    return crc32("\n".join(f"{key}={getattr(step, key)!r}" for key in step.__match_args__ if key not in LOADER_FIELDS).encode("utf-8", "backslashreplace"))


class Planned:
    """The actions of *step*, each with its key, in the fixed order of the keys. A plan that ends with an error gives that.

    Who applies an action says in `heard` what became of it before the next one is asked for; who only looks says what
    would become of it, or nothing.
    """

    def __init__(self, step: Step, facts: Facts, modules: Sequence[tuple[str, str]] = ORDER) -> None:
        self.step, self.facts = step, facts
        self.heard: Effect | None = None
        self._keys = [pair for pair in modules if pair[0] in step.keys]
        if step.classic:
            self._keys.sort(key=lambda pair: pair[0] == "commands")  # cloud-init's runcmd comes last (B12)

    def __iter__(self) -> Iterator[tuple[str, Action | KairosError]]:
        for key, name in self._keys:
            plan = module_of(key, name)
            if plan is None:
                yield key, KairosError(f"the key {key} cannot be executed by this version", self.step.where(key), "leave it out or upgrade")
                continue
            items = plan(self.step, self.facts)
            self.heard = None
            while True:
                try:
                    action = items.send(self.heard)
                except StopIteration:
                    break
                except KairosError as error:
                    yield key, error
                    break
                self.heard = None
                yield key, action


def module_of(key: str, name: str) -> Callable[[Step, Facts], Plan] | None:
    """The plan function of *key*, imported now; None where there is no such module."""
    path = f"kairos_boot.modules.{name}"
    try:
        module = __import__(path, fromlist=("plan",))
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        return None
    plan: Callable[[Step, Facts], Plan] = getattr(module, f"plan_{key}", None) or module.plan
    return plan
