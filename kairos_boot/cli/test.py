"""kairos-boot test [--junit FILE] FILE...

Runs golden tests of configurations, without a node and without root: each case of a FILE says what is there, which
configurations and stage, and what must come out. The engine is the node's, on a directory that is thrown away; programs are
recorded, never run, and there is no network. See docs/testing-configurations.md.

      --junit FILE  write the outcome for CI systems, too

Prints TAP, a line for each case.

Exit code: 0 all as expected, 1 something is not, 2 wrong usage, 3 a FILE is no golden test.
"""

from __future__ import annotations

from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.output import say
from kairos_boot.errors import Explained
from kairos_boot.golden.cases import Verdict, judge
from kairos_boot.golden.form import read
from kairos_boot.shown import one_line

FLAGS = {"junit": True}


def run(words: list[str]) -> int:
    given = parse(words, FLAGS)
    if not given.words:
        raise UsageError("it needs a file with cases")
    suites = {}
    for name in given.words:
        with Explained("it cannot be read", name), open(name, "rb") as file:
            suites[name] = read(file.read(), name)
    total = sum(map(len, suites.values()))
    say(f"1..{total}\n")
    verdicts: dict[str, list[Verdict]] = {name: [] for name in suites}
    number = 0
    for name, cases in suites.items():
        for case in cases:
            number += 1
            verdict = judge(case)
            verdicts[name].append(verdict)
            say(f"{'ok' if verdict.passed else 'not ok'} {number} - {one_line(name)}: {one_line(case.name)}\n")
            for text in (verdict.error, *verdict.differences) if not verdict.passed else ():
                say("".join(f"# {line}\n" for line in text.splitlines()))
    failed = sum(not each.passed for suite in verdicts.values() for each in suite)
    say(f"# {total - failed} as expected, {failed} not\n")
    if "junit" in given:
        from kairos_boot.golden.junit import junit

        path = given.value("junit")
        with Explained("it cannot be written", path), open(path, "wb") as out:
            out.write(junit(verdicts))
    return 1 if failed else 0
