"""kairos-boot notify EVENT [DIR...]

Tells the installed providers (agent-provider-* in /system/providers, /usr/local/system/providers and the PATH) of an event, with the node's merged
configuration. Each has ten minutes. DIR: configurations are read there instead of in the node's own places. Without a provider it says so and succeeds:
published configurations call it at every boot.

Exit code: 0, 1 a provider failed (the others were told all the same), 2 wrong usage.
"""

from __future__ import annotations

import os

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.output import say
from kairos_boot.nearest import did_you_mean
from kairos_boot.providers import bus
from kairos_boot.shown import one_line
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kairos_boot.stages.runner import Log


def run(words: list[str]) -> int:
    given = parse(words, {})
    if not given.words:
        raise UsageError(f"it needs an event: {', '.join(bus.EVENTS)}")
    event, directories = given.words[0], given.words[1:]
    if event not in bus.EVENTS:
        hint = did_you_mean(event, bus.EVENTS)
        raise UsageError(f"event {event!r} not defined{f'; {hint}' if hint else ''}")
    return publish(Host("/"), event, {}, directories)


def publish(host: Host, event: str, data: dict[str, Any], directories: Sequence[str] = (), seconds: float = bus.SECONDS) -> int:
    """Tell everybody of *event* with *data* and the configuration, and people what came of it; the exit code."""
    log = wiring.logger()
    found, refused = bus.providers(host, os.environ.get("PATH", ""))
    for why in refused:
        log(4, why, kind="warning")
    if not found:
        say(f"no provider is installed: nothing to do for {event}\n")
        return 0
    failed = False
    for answer in bus.publish(host, found, event, {**data, "config": merged(host, log, directories)}, seconds=seconds):
        for line in answer.log.splitlines():
            log(6, f"{answer.name}: {one_line(line)}", kind="provider")
        if answer.error:
            failed = True
            log(3, f"{event}: {answer.name} ({found[answer.name]}) failed: {one_line(answer.error)}", kind="failure")
        else:
            log(6, f"{event}: {answer.name}{f': {one_line(answer.state)}' if answer.state else ' was told'}", kind="provider")
    return 1 if failed else 0


def merged(host: Host, log: Log, directories: Sequence[str] = ()) -> str:
    """The node's configuration as providers get it: YAML with the header of a document. What of the documents is not in it, the *log* is told."""
    from kairos_boot.node.config import DIRECTORIES
    from kairos_boot.node.yamltext import dump

    config = wiring.collector_of(host).collect(wiring.cmdline_of(host), directories or DIRECTORIES)
    for problem in config.problems:
        log(3 if problem.severity == "error" else 4, str(problem), kind="problem")
    return f"#cloud-config\n\n{dump(config.settings) if config.settings.value else ''}"
