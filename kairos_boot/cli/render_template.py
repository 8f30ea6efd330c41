"""kairos-boot render-template --file FILE

Prints FILE with its template expressions replaced: .Config is the node's merged configuration, .State what `kairos-boot state` prints.

  -f, --file FILE   the template; - reads standard input

Exit code: 0, 1 it is no template that can be rendered, 2 wrong usage, 3 it cannot be read.
"""

from __future__ import annotations

import sys

from kairos_boot.cli import config
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.output import complain
from kairos_boot.cli.state import plain, state_of
from kairos_boot.errors import KairosError, reason
from kairos_boot.system.host import Host
from kairos_boot.template import TemplateError, render

FLAGS = {"file": True}


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, {"f": "file"})
    if "file" not in given or given.words:
        raise UsageError("it needs --file FILE, and no other word")
    name = given.value("file")
    try:
        if name == "-":
            text = sys.stdin.read()
        else:
            with open(name, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read()
    except OSError as error:
        raise KairosError(reason(error), name) from error
    host = Host("/")
    try:
        sys.stdout.write(render(text, {"Config": config.collect(host).settings.data, "State": plain(state_of(host))}))
    except TemplateError as error:
        complain(f"error: {name}: {error}\n")
        return 1
    return 0
