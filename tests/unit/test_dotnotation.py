"""Dot notation of the kernel command line (yip's; B3, B11)."""

from __future__ import annotations

import shlex

import pytest

from kairos_boot.cloudconfig.dotnotation import LEFT_OUT, decode, words
from kairos_boot.cloudconfig.model import Document
from kairos_boot.loading.cmdline import load_cmdline


def good(text: str) -> Document:
    document = decode(text, "/proc/cmdline", name="<STDIN>")
    assert not document.problems, [str(p) for p in document.problems]
    return document


@pytest.mark.parametrize("text", [
    "", "  ", "a b\tc\nd\r", "a=b c='d e' f=\"g h\"", "'a'\"b\"c", "a\\ b", '"a\\"b"', "''", '""', "x='' y", "a#b", "'a\\b'", "a=\\\\", "ü=ö",
])
def test_words_are_cut_like_a_shell_cuts_them(text: str) -> None:
    assert [word for word, _ in words(text)] == shlex.split(text)


def test_a_word_that_begins_with_a_hash_comments_out_its_line() -> None:
    assert [w for w, _ in words("a #b c\nd # e\n#f\ng#h")] == ["a", "d", "g#h"]


@pytest.mark.parametrize("text", ["a 'b c", 'a "b c', "a b\\", 'a "b\\"'])
def test_a_word_with_an_open_quote_is_lost_and_those_before_it_count(text: str) -> None:
    assert [w for w, _ in words(text)] == ["a"]


def test_steps_lists_maps_and_types() -> None:
    """Values are text, numbers or booleans as their field asks; gaps vanish."""
    document = good("name=Line stages.s[4].name=late stages.s[1].name=early stages.s[1].commands[0]='echo a=b' stages.s[1].files[0].path=/f "
                    "stages.s[1].files[0].permissions=0600 stages.s[1].files[0].owner=7 stages.s[1].files[0].append stages.s[1].environment.A=true "
                    "stages.s[1].git.branch_only=true stages.s[1].users.ada.lock_passwd=no stages.s[1].timeout=5m stages.s[1].hostname=null stages.s[1].sysctl.x=")
    assert document.name == "Line"
    early, late = document.steps("s")
    assert (early.name, late.name, early.commands) == ("early", "late", ("echo a=b",))
    assert (early.files[0].permissions, early.files[0].owner, early.files[0].append) == (0o600, 7, True)
    assert (early.environment["A"], early.git.branch_only, early.users["ada"].lock_passwd, early.timeout) == ("true", True, False, 300.0)
    assert (early.hostname, early.sysctl["x"]) == ("null", "")


@pytest.mark.parametrize("key", ["stages.rootfs.before[0].name", 'stages["rootfs.before"][0].name', 'stages[\\"rootfs.before\\"][0].name', 'stages.\\"rootfs.before\\"[0].name'])
def test_stage_names_with_a_dot(key: str) -> None:
    assert [s.name for s in good(key + "=x").steps("rootfs.before")] == ["x"]


def test_names_with_a_dash() -> None:
    [step] = good("stages.a-b[0].users.k-k.shell=/bin/sh").steps("a-b")
    assert step.users["k-k"].shell == "/bin/sh"


def test_the_last_word_wins() -> None:
    assert good("stages.s[0].commands[0]=a stages.s[0].commands[0]=b").steps("s")[0].commands == ("b",)
    assert good("stages.s[0].hostname.x=1 stages.s[0].hostname=y").steps("s")[0].hostname == "y"
    assert good("stages.s[0].dns=x stages.s[0].dns.path=/p").steps("s")[0].dns.path == "/p"


@pytest.mark.parametrize("word", [
    "BOOT_IMAGE=/vmlinuz", "root=LABEL=x", "ro", "net.ifnames=0", "rd.foo-bar=1", "a..b=1", ".a", "@x", "1x", "[0]", "x[", "=y", "stagesx[=1", "names[0]=1", "nameserver=1",
    "namespace.x=1", "kairos.config=stages.s[0].name=x", "kairos.config_url=/x", "cos.setup=stages.s[0].name=x", "jobs=many",
])
def test_words_of_others_mean_nothing_and_stop_nothing(word: str) -> None:
    assert [s.name for s in good(f"{word} stages.s[0].name=ok {word}").steps("s")] == ["ok"]


@pytest.mark.parametrize(("word", "about"), [
    ("stages.s[0", "bracket"), ("stages.s[]=1", "index"), ("stages..s=1", "empty"), ("stages.s[99999].name=x", "large"), ("stages.s[0]name=x", "dot"), ("stages.s[0].=x", "empty"),
    ("stages.s[0].dns=x", "map"), ("stages.s[0].commands=x", "list"), ("stages.s[0].files[0].permissions=rwx", "mode"), ("stages=x", "list"), ("stages.s=x", "list"), ("stages[0].name=x", "list"), ("stages.s[0]=x", "keys"),
    ("stages.s[0].name.x=y", "text"), ("stages", "list"),
])
def test_a_malformed_word_is_a_warning_and_the_others_count(word: str, about: str) -> None:
    """B3: the kernel command line is shared."""
    for text in (f"stages.t[0].name=ok {word}", f"{word} stages.t[0].name=ok"):
        document = decode(text, "/proc/cmdline", name="<STDIN>")
        assert [p.severity for p in document.problems] == ["warning"]
        assert about in document.problems[0].message
        assert document.problems[0].where.startswith(f"/proc/cmdline:1:{1 if text.startswith(word + ' ') else 21}: ")
        assert [s.name for s in document.steps("t")] == ["ok"]
        assert not document.broken


def test_a_malformed_word_is_an_error_where_failures_stop_the_run() -> None:
    """B3: only under --strict."""
    text = "stages.s[=1 stages.s[0].comands=x stages.s[0].dns=1 stages.s[0].name=ok"
    assert [p.severity for p in load_cmdline(text)[0].problems] == ["warning", "warning", "warning"]
    assert [p.severity for p in load_cmdline(text, strict=True)[0].problems] == ["error", "error", "warning"]


def test_unknown_keys_are_told() -> None:
    [problem] = decode("ro stages.s[0].comands[0]=x", "/proc/cmdline").problems
    assert (problem.where, problem.severity) == ("/proc/cmdline:1:4: stages.s[0].comands", "warning")
    assert "commands" in problem.hint


def test_a_value_knows_its_word() -> None:
    [step] = good("ro\nquiet stages.s[0].sysctl.a=b").steps("s")
    assert step.where("sysctl", "a") == "/proc/cmdline:2:7: stages.s[0].sysctl.a"


def test_the_command_line_is_one_document_or_none() -> None:
    assert load_cmdline("root=LABEL=COS_ACTIVE ro quiet") == []
    assert load_cmdline("ro mystages.x=1") == []
    [document] = load_cmdline("ro stages.s[0].commands[0]=x\n")
    assert (document.name, document.source) == ("<STDIN>", "/proc/cmdline")


def test_what_comes_out_does_not_depend_on_hashing() -> None:
    """The order of stages and maps is that of the words."""
    document = good("stages.b[0].name=x stages.a[0].name=y stages.b[0].sysctl.z=1 stages.b[0].sysctl.y=2")
    assert list(document.stages) == ["b", "a"]
    assert list(document.steps("b")[0].sysctl) == ["z", "y"]


@pytest.mark.parametrize("word", ["stages.boot[0]." + "a." * 1900 + "b=1", "stages." + "a." * 1900 + "b[0].name=x", "stages.s" + "[0]" * 1200 + ".name=x",
                                  'stages["' + "x" * 3800 + '"][0].name=x'], ids=["a key", "a stage", "indexes", "a long name"])
def test_a_word_of_any_depth_costs_itself_only(word: str) -> None:
    """The kernel takes 4096 bytes; the other words and all documents count."""
    document = decode(f"{word} stages.s[0].name=kept", "/c")
    assert "kept" in [step.name for step in document.steps("s")]
    deep = [p for p in document.problems if "nested too deeply" in p.message]
    assert len(deep) == (0 if "xxx" in word else 1)
    assert all(p.severity == "warning" and p.message.startswith(LEFT_OUT) for p in deep)
