"""Start-up time is an interface: what a start of the program imports is asserted by name (docs/architecture.md)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kairos_boot import bytecode

TOP = Path(__file__).parents[2]
DEAR = {
    "argparse", "collections", "contextlib", "dataclasses", "enum", "functools", "inspect", "json", "logging", "pathlib", "re", "shutil", "site",
    "subprocess", "tempfile", "typing", "importlib.metadata",
}
"""Modules of the standard library that cost a boot more than its work."""
PARSING = {"yaml", "yaml._yaml", "yaml.events", "kairos_boot.cloudconfig.libyaml", "kairos_boot.cloudconfig.decode", "kairos_boot.cloudconfig.compose", "kairos_boot.cloudconfig.typed", "kairos_boot.cloudconfig.scalars",
           "kairos_boot.cloudconfig.cloudinit", "kairos_boot.cloudconfig.dotnotation", "kairos_boot.template"}
UNUSED = {"nearest", "cloudconfig.catalog", "stages.after", "stages.patterns", "template.interpreter", "actions.units", "actions.jobs", "system.facts"}
"""Modules of ours that a stage has no use for whose steps ask for none of what they do."""
DOCUMENTS = {
    "1.yaml": "name: R\nstages:\n  s:\n  - name: off\n    if_files: {all: [/no/such/file]}\n    commands: ['true']\n  - name: made\n    directories: [{path: DIR/made}]\n",
    "2.yaml": "#cloud-config\nruncmd: ['true']\nstages: {s: [{name: last, if: '[ -e /no/such/file ]', hostname: x}]}\n",
    "3.yaml": "nmae: warned of\n",
}
LOAD = """
import sys
sys.path[:0] = [TOP, *YAML]
from kairos_boot.loading.documents import Sources
from kairos_boot.system.host import Host
from kairos_boot.system.reader import HostReader
import time
reader = HostReader(Host(ROOT, clock=lambda: time.time() + 60))
documents = Sources(reader, cmdline="root=LABEL=COS_ACTIVE ro quiet rd.neednet=1 panic=5", record="/run/record").load()
steps = [s.name for d in documents for s in d.steps("s")]
print(*steps, *sys.modules)
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the interpreter as the installed program's first line does."""
    return subprocess.run([sys.executable, "-I", "-S", *arguments], check=False, capture_output=True, text=True, timeout=60)


def imported(report: str) -> set[str]:
    """The modules named by `-X importtime`."""
    return {line.rsplit("|", 1)[1].strip() for line in report.splitlines() if line.startswith("import time:") and "|" in line}


def documents(directory: Path) -> None:
    directory.mkdir(parents=True)
    for name, text in DOCUMENTS.items():
        (directory / name).write_text(text.replace("DIR", str(directory.parent)))


def script(text: str, root: Path) -> str:
    """A script with the places of this checkout and of PyYAML."""
    import yaml

    return text.replace("TOP", repr(str(TOP))).replace("ROOT", repr(str(root))).replace("*YAML", f"*{[str(Path(yaml.__file__).parents[1])]!r}")


def test_a_start_with_kept_documents_parses_nothing(tmp_path: Path) -> None:
    """The first start parses, the second one imports neither YAML nor the decoder nor anything dear."""
    documents(tmp_path / "oem")
    first = python("-c", script(LOAD, tmp_path)).stdout.split()
    assert first[:3] == ["off", "made", "last"]
    assert "yaml._yaml" in first
    second = python("-c", script(LOAD, tmp_path))
    assert second.stdout.split()[:3] == ["off", "made", "last"]
    assert (PARSING | DEAR) & set(second.stdout.split()) == set()


LEAN = """
import sys
sys.path[:0] = [TOP, *YAML]
from kairos_boot.cloudconfig.decode import decode
good, bad, odd = decode(b"stages: {s: [{name: x}]}", "/d"), decode(b"a: [", "/d"), decode(b"a: \\x07", "/d")
assert [s.name for s in good.steps("s")] == ["x"]
assert [p.where for p in bad.problems + odd.problems] == ["/d:2:1", "/d:1:4"], bad.problems + odd.problems
before = set(sys.modules)
import yaml
assert yaml.safe_load("a: [1, 2001-01-01]")["a"][0] == 1
assert yaml.load("a: 1", yaml.CSafeLoader) == {"a": 1}
for loader in (yaml.SafeLoader, yaml.CSafeLoader):
    try:
        yaml.load("a: [", loader)
    except yaml.YAMLError as error:
        assert error.problem_mark.line in (0, 1)
    else:
        raise AssertionError
assert decode(b"a: [", "/d").broken and decode(b"a: \\x07", "/d").broken
print(*before)
"""


def test_parsing_imports_no_more_of_yaml_than_its_binding(tmp_path: Path) -> None:
    """The rest would cost more than the documents do; the whole package is still there for whoever imports it later."""
    run = python("-c", script(LEAN, tmp_path))
    assert run.returncode == 0, run.stderr
    assert "yaml._yaml" in run.stdout
    assert {"re", "enum", "datetime", "yaml.constructor", "typing"} & set(run.stdout.split()) == set()


def test_the_model_is_made_without_dear_modules() -> None:
    run = python("-c", f"import sys; sys.path[:0] = [{str(TOP)!r}]; import kairos_boot.cloudconfig.model; print(*sys.modules)")
    assert "kairos_boot.cloudconfig.model" in run.stdout
    assert DEAR & set(run.stdout.split()) == set()


def test_the_initrds_first_half_imports_no_more_than_it_needs() -> None:
    """It attaches an image: no stage, no layout, no end of a boot that failed; those are the second half's and the bad day's."""
    run = python("-c", f"import sys; sys.path[:0] = [{str(TOP)!r}]; import kairos_boot.cli.initrd, kairos_boot.boot.image; print(*sys.modules)")
    names = set(run.stdout.split())
    assert "kairos_boot.boot.sequence" in names, run.stderr
    assert (DEAR | PARSING) & names == set()
    assert {f"kairos_boot.{name}" for name in ("stages.runner", "boot.build", "boot.layout", "boot.ending", "boot.failures", "system.power", "cloudconfig.model")} & names == set()


def entry(directory: Path) -> Path:
    """The command, in *directory*, over this checkout's modules."""
    path = directory / "bin/kairos-boot"
    path.parent.mkdir()
    (directory / "lib").mkdir()
    (directory / "lib/kairos-boot").symlink_to(TOP)
    path.write_text((TOP / "packaging/entry").read_text())
    return path


def test_the_end_of_the_program_is_the_end_of_the_process(tmp_path: Path) -> None:
    """All that was printed is out, and nothing is taken apart before; the interpreter's own end would say what it clears."""
    run = python("-v", str(entry(tmp_path)), "--version")
    assert run.stdout.startswith("kairos-boot ")
    assert "import 'kairos_boot.cli.main'" in run.stderr
    assert "# cle" not in run.stderr
    assert python(str(tmp_path / "bin/kairos-boot"), "no-such-verb").returncode == 2


@pytest.mark.root
def test_a_stage_with_kept_documents_imports_what_its_steps_use(tmp_path: Path) -> None:
    """The program itself, in a mount namespace with a /run of its own: skips, a warning, one module at work."""
    documents(tmp_path / "oem")
    call = f"/usr/bin/python3 -I -S -X importtime {entry(tmp_path)} run-stage --override-cloud-init-paths {tmp_path}/oem s"
    script = f"mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log && sleep 0.1 && {call} 2>/run/1; test -d {tmp_path}/made && rmdir {tmp_path}/made && {call}; test -d {tmp_path}/made"
    run = subprocess.run(["unshare", "--mount", "sh", "-c", script], check=False, capture_output=True, text=True, timeout=60)
    if run.returncode and "unshare" in run.stderr:
        pytest.skip("no mount namespaces here: " + run.stderr)
    names = imported(run.stderr)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "kairos_boot.stages.runner" in names
    assert (PARSING | DEAR) & names == set()
    assert {f"kairos_boot.{name}" for name in UNUSED} & names == set()
    assert {n for n in names if n.startswith("kairos_boot.modules.")} == {"kairos_boot.modules.directories"}
    begun = python("-c", f"import sys; sys.path[:0] = [{str(TOP)!r}]\nfor n in {bytecode.BEGUN!r}: __import__('kairos_boot.' + n.replace('/', '.'))\nprint(*sys.modules)").stdout.split()
    others = {n for n in names - set(begun) if n.startswith("kairos_boot")}
    assert {n for n in others if not n.startswith(("kairos_boot.modules.", "kairos_boot.actions.", "kairos_boot.system."))} <= {"kairos_boot.bytecode", "kairos_boot.stages.shellfacts"}, \
        "what every stage imports is not in bytecode.BEGUN"
