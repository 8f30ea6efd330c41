"""kairos-boot config [--json] | config get QUERY | config origin KEY

Prints the node's settings: all its documents that begin with the line #cloud-config merged, the later winning, then the kernel command line.

  config              everything, as YAML, below the list of the documents that it came from
  config get QUERY    what is at a path (install.device, users[0].name); anything but a path is a query of jq
  config origin KEY   the file, line and column that the value of KEY came from (also: config --origin KEY)

      --json      print it for programs
      --root DIR  read the tree below DIR; nothing of it is executed

Exit code: 0, 1 when a document could not be used, a value is of the wrong kind, or two of them contradict each other (the rest is printed), 2 wrong usage,
3 when the query fails. What is not set is nothing for get (0), and has no origin (3).
"""

from __future__ import annotations

import sys

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.errors import KairosError
from kairos_boot.node import query as queries
from kairos_boot.node import sections
from kairos_boot.node.settings import Setting, from_data
from kairos_boot.node.yamltext import dump
from kairos_boot.shown import one_line
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.node.config import Config

FLAGS = {"json": False, "root": True, "origin": True}


def run(words: list[str]) -> int:
    given = parse(words, FLAGS)
    verb = {"g": "get"}.get(given.words[0], given.words[0]) if given.words else ""
    key = given.value("origin")
    if verb in ("get", "origin"):
        if len(given.words) != 2:
            raise UsageError(f"{verb} needs one {'query' if verb == 'get' else 'key'}")
        key = given.words[1]
    elif verb:
        raise UsageError(f"config has no {verb!r}: write config, config get QUERY or config origin KEY")
    host = Host(wiring.root_of(given))
    config = collect(host)
    judged = list(sections.problems(config.settings))
    if verb == "origin" or "origin" in given:
        sys.stdout.write(_origin(config, key) + "\n")
    elif verb == "get":
        _print(_get(config, key), as_json="json" in given)
    elif "json" in given:
        _print([config.settings], as_json=True)
    else:
        sources = "".join(f"# - {one_line(source)}\n" for source in config.sources)
        sys.stdout.write(f"#cloud-config\n\n# Sources:\n{sources}\n{dump(config.settings) if config.settings.value else ''}")
    for problem in (*config.problems, *judged):
        sys.stderr.write(f"{problem}\n")
    return 1 if any(problem.severity == "error" for problem in (*config.problems, *judged)) else 0


def collect(host: Host) -> Config:
    """The merged configuration of *host*."""
    return wiring.collector_of(host).collect(wiring.cmdline_of(host))


def _plain(config: Config, query: str) -> list[Setting] | None:
    parts = queries.path_of(query)
    if parts is None:
        return None
    return queries.follow(config.settings, parts, lambda item: item.value if item.kind != "text" else None if item.data is None else item.data)


def _get(config: Config, query: str) -> list[Setting]:
    found = _plain(config, query)
    if found is None:
        found = [from_data(item) for item in queries.by_jq(query, config.settings.data, Host().processes)]
    return [item for item in found if item.data is not None]


def _origin(config: Config, key: str) -> str:
    found = _plain(config, key)
    if found is None:
        raise KairosError(f"not a path: {key!r}", hint="write it like install.device or users[0].name")
    if not found:
        raise KairosError(f"nothing sets {key!r}", hint="kairos-boot config prints what is set, and the documents that were read")
    return "\n".join(one_line(item.where) or "no document" for item in found)


def _print(found: list[Setting], *, as_json: bool) -> None:
    if as_json:
        import json

        sys.stdout.write("".join(json.dumps(item.data, indent=1, ensure_ascii=False) + "\n" for item in found))
    else:
        sys.stdout.write("".join(dump(item) for item in found))
