"""Flags and words of a verb. `argparse` takes longer to load than most stages take to run."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class UsageError(Exception):
    """The call is wrong: exit code 2."""


class HelpAsked(Exception):  # noqa: N818
    """`--help` or `-h` stands among the words: the verb's help is printed, and nothing else is done."""


class Arguments:
    """What was given: flags by their long name, and the words."""

    def __init__(self) -> None:
        self.flags: dict[str, list[str]] = {}
        self.words: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self.flags

    def value(self, name: str, default: str = "") -> str:
        """The last value of the flag, or *default*."""
        return self.flags[name][-1] if name in self.flags else default

    def values(self, name: str) -> list[str]:
        return self.flags.get(name, [])

    def alone(self, name: str, *beside: str) -> bool:
        """Whether the flag is given, which makes the verb another one. UsageError: a flag stands beside it that would mean nothing then."""
        others = [flag for flag in self.flags if flag not in (name, *beside)]
        if name in self and others:
            raise UsageError(f"--{name} does not go with --{others[0]}")
        return name in self

    def needs(self, name: str, other: str) -> None:
        """The flag *name* has a meaning only beside *other*. UsageError: it stands without."""
        if name in self and other not in self:
            raise UsageError(f"--{name} goes with --{other}")

    def follows(self) -> str:
        """What is asked for to follow an action: `reboot`, `poweroff` or nothing. UsageError: both."""
        if "reboot" in self and "poweroff" in self:
            raise UsageError("--reboot or --poweroff, not both")
        return next((how for how in ("reboot", "poweroff") if how in self), "")


def parse(words: Sequence[str], flags: Mapping[str, bool], short: Mapping[str, str] | None = None, *, bare: bool = False) -> Arguments:
    """Split *words* by *flags* (long name -> takes a value) and *short* (letter -> long name).

    Flags may stand anywhere; `--` ends them. HelpAsked: one of them asks for help. UsageError: an unknown flag, a value missing or too much, a word where *bare* says that there is none.
    """
    given = Arguments()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            given.words += rest
            break
        if word == "-" or not word.startswith("-"):
            given.words.append(word)
            continue
        if not word.startswith("--"):
            letters = word[1:]
            name = (short or {}).get(letters[0], "")
            if not name:
                if letters == "h":
                    raise HelpAsked
                raise UsageError(f"unknown flag: -{letters[0]}")
            if flags[name]:
                value, has = letters[1:].removeprefix("="), len(letters) > 1
            else:
                value, has = "", False
                if len(letters) > 1:
                    rest.insert(0, "-" + letters[1:])
        else:
            name, equals, value = word[2:].partition("=")
            if word == "--help":
                raise HelpAsked
            has = bool(equals)
            if name not in flags:
                raise UsageError(f"unknown flag: --{name}{_suggestion(name, flags)}")
            if has and not flags[name]:
                raise UsageError(f"the flag --{name} takes no value")
        if flags[name] and not has:
            if not rest:
                raise UsageError(f"the flag --{name} needs a value")
            value = rest.pop(0)
        given.flags.setdefault(name, []).append(value)
    if bare and given.words:
        raise UsageError(f"it takes no words: {given.words[0]}")
    return given


def _suggestion(name: str, flags: Mapping[str, bool]) -> str:
    from kairos_boot.nearest import nearest

    near = nearest(name, flags)
    return f" (did you mean --{near[0]}?)" if near else ""
