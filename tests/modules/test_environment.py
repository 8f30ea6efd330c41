"""environment: variables merged into a file that a shell reads back."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from kairos_boot.facts import Facts
from kairos_boot.modules import environment
from kairos_boot.system.keyvalue import lines

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node

PATH = "/etc/environment"
ODD = {"A": 'q"u', "B": "b\\s", "C": "$HOME", "D": "`id`", "E": "it's", "F": "a=b #c", "G": "ü", "H": "wow!", "I": "two\nlines\n", "J": " blanks ",
       "K": "\\", "L": "-5", "M": "007", "N": "", "O": "+5", "P": "\ttab", "Q": "#x", "R": "a\\\nb", "S": "\\n"}


def test_the_form_of_a_new_file(host: Node, step: MakeStep) -> None:
    """Sorted, texts in double quotes, whole numbers bare and never another number."""
    host.do(environment, step(environment={"ZED": "last", "ALPHA": "two words", "COUNT": "5", "EMPTY": "", "CODE": "007"}))
    assert host.text(PATH) == 'ALPHA="two words"\nCODE="007"\nCOUNT=5\nEMPTY=""\nZED="last"\n'
    assert host.mode(PATH) == 0o644


def test_a_shell_reads_every_value_back(host: Node, step: MakeStep) -> None:
    """Whatever the value."""
    host.do(environment, step(environment=ODD))
    script = f". {host.root}{PATH}\n" + "".join(f'printf "%s\\0" "${name}"\n' for name in ODD)
    said = subprocess.run(("sh", "-c", script), capture_output=True, text=True, check=True).stdout
    assert dict(zip(ODD, said.split("\0"), strict=False)) == ODD


def test_our_own_reader_agrees_with_the_shell(host: Node, step: MakeStep) -> None:
    """What was written is read as it was meant, and nothing of the text is lost."""
    host.do(environment, step(environment=ODD))
    parts = list(lines(host.text(PATH)))
    assert {name: value for name, value, _, _ in parts} == ODD
    assert "".join(source for _, _, source, _ in parts) == host.text(PATH)


def test_second_run_changes_nothing(host: Node, step: MakeStep) -> None:
    """The file is not written again."""
    host.do(environment, step(environment=ODD))
    before = host.state()
    assert host.do(environment, step(environment=ODD)) == [False]
    assert host.state() == before


def test_what_is_there_stays_to_the_byte(host: Node, step: MakeStep) -> None:
    """Comments, order, quotes, lines that are no assignments; `export` stays with its variable; the mode is kept."""
    host.put(PATH, "# head\nexport NEW='old' # why\nkey-with-dash=1\n\nOLD=stays # c\nSAME='x y'", 0o640)
    assert host.do(environment, step(environment={"NEW": "new", "SAME": "x y", "MORE": "x"})) == [True]
    assert host.text(PATH) == "# head\nMORE=\"x\"\nexport NEW=\"new\"\nkey-with-dash=1\n\nOLD=stays # c\nSAME='x y'\n"
    assert host.mode(PATH) == 0o640


def test_the_last_assignment_counts(host: Node, step: MakeStep) -> None:
    """As in a shell: an earlier one of the same name may stand."""
    host.put(PATH, "A=1\nA=2\n")
    assert host.do(environment, step(environment={"A": "2"})) == [False]
    assert host.do(environment, step(environment={"A": "1"})) == [True]
    assert host.text(PATH) == "A=1\nA=1\n"


def test_steps_add_to_each_other(host: Node, step: MakeStep) -> None:
    """A second step changes and adds, in sorted order, below a directory that was missing."""
    host.do(environment, step(environment_file="/run/cos/x.env", environment={"A": "one", "C": "one"}))
    host.do(environment, step(environment_file="/run/cos/x.env", environment={"B": "two", "C": "two"}))
    assert host.text("/run/cos/x.env") == 'A="one"\nB="two"\nC="two"\n'
    assert host.mode("/run/cos") & 0o700 == 0o700


@pytest.mark.parametrize(("text", "value"), [
    ("A=b", "b"), ("A=b c", "b c"), ("A=b #c", "b"), ("A=b#c", "b#c"), ("A= #c", ""), ("A=#c", "#c"), ("A='b\\n'", "b\\n"), ("A=  b  ", "b"),
    ('A="b\\"c"', 'b"c'), ('A="b"\'c\'d', "bcd"), ("A=b\\ ", "b "), ('A="b\nc"', "b\nc"), ("  export  A = b", "b"), ("A=b\\\nc", "bc"),
])
def test_files_of_others_are_understood(text: str, value: str) -> None:
    """Quotes, comments, continued lines, several lines in quotes."""
    [(name, found, source, fault)] = lines(text)
    assert (name, found, source, fault) == ("A", value, text, "")


def test_a_line_with_an_open_quote_costs_itself_alone(host: Node, step: MakeStep) -> None:
    """The variables after it are found, and the line itself is replaced by what is wanted."""
    host.put(PATH, 'A="open\nB=2\nnot an assignment\n')
    assert host.do(environment, step(environment={"B": "2"})) == [False]
    assert host.do(environment, step(environment={"A": "1"})) == [True]
    assert host.text(PATH) == "A=1\nB=2\nnot an assignment\n"


def test_wrong_names_do_not_stop_the_others(host: Node, step: MakeStep) -> None:
    """A name that no shell takes would end the reading there."""
    bad, nul, done = host.do(environment, step(environment={"with-dash": "1", "NUL": "a\0b", "GOOD": "2"}))
    assert "environment.with-dash" in str(bad)
    assert "NUL" in str(nul)
    assert done is True
    assert host.text(PATH) == "GOOD=2\n"


def test_nothing_without_variables(host: Node, step: MakeStep) -> None:
    """environment_file alone does nothing."""
    assert host.do(environment, step(environment_file="/srv/env", environment={})) == []


def test_values_are_rendered_and_never_shown(host: Node, step: MakeStep) -> None:
    """The plan names variables, not values."""
    facts = Facts(gather=lambda: {"node": {"hostname": "lab"}})
    [action] = environment.plan(step(environment={"TOKEN": "secret-{{ .Values.node.hostname }}"}), facts)
    assert "secret" not in action.describe()
    assert "TOKEN" in action.describe()
    action.apply(host)
    assert host.text(PATH) == 'TOKEN="secret-lab"\n'
