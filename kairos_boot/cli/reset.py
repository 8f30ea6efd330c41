"""kairos-boot reset [--plan [--json]] [--unattended] [--reboot|--poweroff] [--reset-oem] [--keep-persistent]
       kairos-boot reset --next-boot [--host-root DIR] [--with FILE]
       kairos-boot reset --state-only [WHAT...]

Writes the node's images anew from its recovery image and erases its persistent data; /oem is kept. It runs in the recovery system.

      --plan             say what would be done, and do nothing
      --json             the plan for programs
      --unattended       do not wait a minute for somebody to press Enter
      --reboot           reboot when it is done          --poweroff   power off
      --reset-oem        make the OEM partition anew, too: all configuration is lost
      --keep-persistent  leave the persistent partition as it is
      --next-boot        let the next boot of this node be the reset; DIR is where the node's root is mounted (in a pod: /host)
      --with FILE        refuse that where FILE of the node, as its /oem/90_custom.yaml, has errors, makes no admin, or would be erased
      --state-only       remove only /usr/local/.kairos and /usr/local/.state; WHAT: kairos, state or all (everything in /usr/local)

Exit code: 0 done, 1 done but a hook failed, 2 wrong usage, 3 refused: nothing was changed, 4 it failed half-way (see status).
"""

from __future__ import annotations

import sys

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.output import say
from kairos_boot.errors import KairosError
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from kairos_boot.cli.actions import Wired
    from kairos_boot.cli.arguments import Arguments
    from kairos_boot.lifecycle.reset import Options

FLAGS = {"plan": False, "json": False, "unattended": False, "reboot": False, "poweroff": False, "reset-oem": False, "keep-persistent": False,
         "failed": False, "next-boot": False, "host-root": True, "with": True, "state-only": False}
HIDDEN = ("failed",)
"""Flags of a unit: neither the help nor a completion offers them."""
WAIT = 60
"""Seconds in which a person at the terminal may think better of it."""


def run(words: list[str]) -> int:
    """Reset, or say what a reset would do, or let the next boot do it."""
    given = parse(words, FLAGS)
    next_boot, state_only, failed = given.alone("next-boot", "host-root", "with"), given.alone("state-only"), given.alone("failed")
    if given.words and not state_only:
        raise UsageError(f"it takes no words: {given.words[0]}")
    given.needs("json", "plan")
    given.needs("host-root", "next-boot")
    given.needs("with", "next-boot")
    given.follows()
    wiring.need_root("/", looks="plan" in given)
    if next_boot:
        from kairos_boot.boot.resume import ENTRY
        from kairos_boot.lifecycle.entries import select

        host = wiring.node_of(given)
        if "with" in given:
            _must_fit(host, given.value("with"))
        say(select(host, ENTRY) + "\n")
        return 0
    if failed:
        return _after_failure()
    if state_only:
        return _state_only(given)
    from kairos_boot.cli.actions import Wired, print_plan

    wired = Wired("reset")
    resetting = _of(wired.host)
    if "plan" in given:
        return print_plan(resetting.plan_of(wired, _options(given)), as_json="json" in given)
    if "unattended" not in given:
        _ask(wired, _options(given))
    return wired.carry_out(lambda: resetting.reset(wired, _options(given)))


def _of(host: Host) -> ModuleType:
    """What resets that kind of node."""
    from kairos_boot.node.mode import one_file

    if one_file(host):
        from kairos_boot.lifecycle import uki_resetting

        return uki_resetting
    from kairos_boot.lifecycle import resetting

    return resetting


def _must_fit(host: Host, new: str) -> None:
    """KairosError: the file *new* of the node *host* cannot become its configuration."""
    from kairos_boot.cli.validate import problems
    from kairos_boot.lifecycle.replacing import must_fit

    for problem in problems(wiring.sources_of(host, (new,)).load()):
        if problem.severity == "error":
            raise KairosError(problem.message, problem.where, problem.hint)
    must_fit(host, new, wiring.cmdline_of(host))


def _options(given: Arguments) -> dict[str, bool]:
    """What the flags ask for; what they do not mention is the configuration's to say."""
    asked = {"reset-oem": ("reset-oem", True), "keep-persistent": ("reset-persistent", False), "reboot": ("reboot", True), "poweroff": ("poweroff", True)}
    return {key: value for flag, (key, value) in asked.items() if flag in given}


def _ask(wired: Wired, asked: dict[str, bool]) -> None:
    """Say what is lost, and give a person at the terminal time to press Enter. KairosError: Enter was pressed. UsageError: there is nobody to ask."""
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask at: add --unattended")
    import select

    sys.stderr.write(f"{question(_of(wired.host).settled(wired, asked))}\nPress Enter within {WAIT} s to stop.\n")
    if select.select([sys.stdin], [], [], WAIT)[0]:
        raise KairosError("stopped by hand; nothing was changed")


def question(options: Options) -> str:
    """What a person is to think about before a reset with *options* begins."""
    persistent = "All persistent data of this node is about to be erased" if options.erase_persistent else "The persistent data of this node is kept"
    oem = "/oem is erased, too, with all configuration" if options.erase_oem else "/oem is kept"
    return f"{persistent}, and its images are written anew; {oem}."


def _after_failure() -> int:
    """Tell every console why the reset of this boot failed; 0: this boot becomes a recovery system, 1: the node restarts."""
    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.report import banner, tell
    from kairos_boot.lifecycle.ending import failure
    from kairos_boot.lifecycle.reset import STATE
    from kairos_boot.lifecycle.resetting import KEPT
    from kairos_boot.system import power

    host = Host("/")
    found = failure(host, STATE)
    if found is None:
        return 0  # it is done; a restart that was asked for is under way, and nothing stops that
    error, again = found
    follows = "the node restarts, and the reset goes on" if again else "this is the recovery system now; log in, mend the cause, and call kairos-boot reset"
    consoles = Cmdline(wiring.cmdline_of(host)).consoles
    tell(consoles, banner(error, [("Next", follows), ("Log", f"journalctl, and {KEPT}")], "THE RESET FAILED"))
    if again:
        power.reboot(host)
    return 1 if again else 0


def _state_only(given: Arguments) -> int:
    """Remove the state directories of the persistent partition."""
    from kairos_boot.cli.actions import Wired
    from kairos_boot.lifecycle.resetting import remove_state

    what = given.words or ["kairos", "state"]
    unknown = [word for word in what if word.strip("./") not in ("kairos", "state", "all")]
    if unknown:
        raise UsageError(f"{unknown[0]}: --state-only knows kairos, state and all")
    removed = remove_state(Wired("reset"), [word.strip("./") for word in what])
    say("".join(f"{line}\n" for line in removed or ["there was nothing to remove"]))
    return 0
