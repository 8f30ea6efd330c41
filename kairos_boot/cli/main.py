"""Find the verb, run it, and turn what goes wrong into an exit code (B3)."""

from __future__ import annotations

import sys

from kairos_boot.cli.arguments import HelpAsked, UsageError
from kairos_boot.errors import KairosError
from kairos_boot.shown import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, DEGRADED, USAGE, NOTHING_DONE = 0, 1, 2, 3

VERBS = {
    "run-stage": "emit a stage",
    "plan": "say what a stage would do, and change nothing",
    "validate": "check cloud-config documents",
    "test": "compare what configurations do with what a file expects, without a node",
    "schema": "print the JSON Schema of a cloud-config",
    "config": "print the merged configuration, a part of it, or where a value came from",
    "state": "tell which boot this is, and what the node is",
    "install": "make a node of an empty disk, or of a file",
    "manual-install": "the same, with a configuration that is named",
    "reset": "write the node's images anew and erase its persistent data, now or at the next boot",
    "upgrade": "write a new system beside the running one, which the next boot takes",
    "sysext": "system extensions: list, install, enable for a boot, disable, remove",
    "confext": "the same, for configuration extensions",
    "install-bundle": "bring a bundle: unpack a container image over /, or run its script",
    "pull-image": "unpack a container image over a directory",
    "bootentry": "list the entries of the boot menu, choose one for the next boot",
    "rollback": "make the other system the default for good",
    "grubedit": "list or set the boot loader's variables",
    "status": "tell what ran in a boot, what was skipped and why, what failed",
    "analyze": "tell where the time of a boot went",
    "metrics": "print a boot in numbers, for Prometheus",
    "doctor": "tell what an image, or this node, lacks",
    "uuid": "print what this node calls itself",
    "render-template": "print a file with its template expressions replaced",
    "logs": "collect what a report of a fault needs",
    "initrd": "attach the image, or make the root file system ready (used in the initrd)",
    "assess": "judge this boot (used by its unit)",
    "notify": "tell the installed providers of an event",
    "start": "do what is left in the first boot, and tell the installed providers (used by a unit)",
}
INTERNAL = ("assess", "initrd", "notify", "start")
NESTED: dict[tuple[str, ...], str] = {("upgrade", "list-releases"): "list_releases"}
"""Verbs of two words, and their modules."""
ALIASES = {"print-schema": "schema"}
"""Words of Kairos that have another one here."""
GLOBAL = ("--debug", "--strict-validation")
"""Options of Kairos that stand before the verb; `validate` is strict always."""


def _verb_first(words: Sequence[str]) -> list[str]:
    """*words* without the options that stand before the verb, and with the verb's own word."""
    rest = list(words)
    while rest and rest[0] in GLOBAL:
        if rest.pop(0) == "--debug":
            import os

            os.environ["LOGLEVEL"] = "debug"
    return [ALIASES.get(rest[0], rest[0]), *rest[1:]] if rest else rest


def _help(text: str | None) -> int:
    sys.stdout.write(f"usage: {(text or '').strip()}\n")
    return DONE


def usage() -> str:
    lines = "\n".join(f"  {name:<17}{text}" for name, text in VERBS.items() if name not in INTERNAL)
    return f"usage: kairos-boot VERB [ARGUMENTS]\n\n{lines}\n\nkairos-boot VERB --help tells the arguments. See kairos-boot(8).\n"


def program(words: Sequence[str]) -> int:
    """Run *words* as a process of its own: whatever its caller left it, the same is done (C14)."""
    from kairos_boot.system.surroundings import prepare

    prepare()
    try:
        return run(words)
    except Exception as error:  # noqa: BLE001
        import traceback

        sys.stderr.write("".join(traceback.format_exception(error)))
        sys.stderr.write(f"kairos-boot: a defect of this program ({type(error).__name__}): what was asked for was not done; please report it with the lines above\n")
        return NOTHING_DONE


def run(words: Sequence[str]) -> int:
    """Run *words* (without the program's name) and return the exit code: 0 done, 1 degraded, 2 wrong usage, 3 nothing could be done."""
    words = _verb_first(words)
    if not words or words[0] in ("-h", "--help", "help"):
        (sys.stdout if words else sys.stderr).write(usage())
        return DONE if words else USAGE
    if words[0] in ("--version", "version"):
        from kairos_boot import __version__

        sys.stdout.write(f"kairos-boot {__version__}\n")
        return DONE
    verb = words[0]
    if verb not in VERBS:
        from kairos_boot.cli.verbs import unknown

        sys.stderr.write(unknown(verb, [name for name in VERBS if name not in INTERNAL]) or f"kairos-boot: unknown verb: {verb}\n{usage()}")
        return USAGE
    name, rest = NESTED.get((verb, *words[1:2])), list(words[1:])
    if name:
        verb = f"{verb} {rest.pop(0)}"
    try:
        module = __import__(f"kairos_boot.cli.{name or verb.replace('-', '_')}", fromlist=("run",))
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("kairos_boot.cli."):
            raise
        sys.stderr.write(f"kairos-boot {verb}: it is not in the initrd, which has run-stage, status and logs; use it when the node has come up\n")
        return NOTHING_DONE
    if rest[:1] in (["-h"], ["--help"]):  # of a verb without flags, too
        return _help(module.__doc__)
    try:
        code: int = module.run(rest)
    except HelpAsked:
        return _help(module.__doc__)
    except UsageError as error:
        sys.stderr.write(f"kairos-boot {verb}: {plain(str(error))}\nkairos-boot {verb} --help tells the arguments\n")
        return USAGE
    except KairosError as error:
        sys.stderr.write(f"kairos-boot {verb}: {plain(str(error))}\n")
        return NOTHING_DONE
    except KeyboardInterrupt:
        return 130
    return code
