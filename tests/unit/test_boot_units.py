"""The units of the initrd: a reason for each order, a limit for each start, nothing cut off, nothing started half (D1-D3)."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kairos_boot.modules import ORDER as KEYS
from kairos_boot.stages.ledger import Ledger

if TYPE_CHECKING:
    from types import ModuleType

MODULE = Path(__file__).resolve().parents[2] / "dracut/50kairos-boot"
IMAGE = MODULE.parents[1] / "packaging/image"
SERVICES = sorted(MODULE.glob("*.service"))
ORDER = ("After=", "Before=", "Wants=", "Requires=", "Conflicts=", "OnFailure=")


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line]


def values(path: Path, key: str) -> list[str]:
    return [word for line in lines(path) if line.startswith(f"{key}=") for word in line.partition("=")[2].split()]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_every_order_has_its_reason_above_it(path: Path) -> None:
    text = lines(path)
    for number, line in enumerate(text):
        if line.startswith(ORDER):
            above = text[number - 1]
            assert above.startswith(("#", "Wants=")), f"{path.name}: no reason for {line}"


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_switching_root_waits_and_no_start_lasts_for_ever(path: Path) -> None:
    assert "initrd-switch-root.target" in values(path, "Before")
    assert values(path, "TimeoutStartSec")
    assert values(path, "Type") == ["oneshot"]
    assert values(path, "DefaultDependencies") == ["no"]


def test_the_image_comes_before_the_root_is_mounted_and_its_failure_is_an_emergency() -> None:
    image = MODULE / "kairos-boot-image.service"
    assert "sysroot.mount" in values(image, "Before")
    assert values(image, "OnFailure") == ["emergency.target"]


def test_the_layout_comes_between_the_mounted_root_and_the_initrds_file_systems_and_its_failure_is_no_emergency() -> None:
    root = MODULE / "kairos-boot-initrd.service"
    assert "sysroot.mount" in values(root, "After")
    assert "initrd-fs.target" in values(root, "Before")
    assert not values(root, "OnFailure")


def test_the_initrd_is_left_only_when_the_layout_says_that_it_is_complete() -> None:
    from kairos_boot.boot.sequence import READY

    assert f"ExecStartPre=/usr/bin/test -e {READY}" in lines(MODULE / "initrd-cleanup.conf")


@pytest.mark.parametrize(("words", "action", "called"), [
    ("", "Boot", "initrd fatal shell"), ("rd.shell=0", "Boot", "initrd fatal"), ("rd.shell=1", "Boot", "initrd fatal shell"),
    ("rd.shell=0 rd.break", "Boot", "initrd fatal shell"), ("rd.shell=0", "Shutdown", ""),
])
def test_whatever_ends_the_initrd_runs_our_end_which_knows_whether_dracut_gives_a_shell(words: str, action: str, called: str) -> None:
    """Both of dracut's hooks are ours; a shutdown that has trouble is no boot that failed (D12, D13)."""
    setup = (MODULE / "module-setup.sh").read_text()
    for hook in ("emergency", "shutdown-emergency"):
        assert f'inst_hook {hook} 00 "$moddir/fatal.sh"' in setup
    dracut = f"""
        getargbool() {{ case " {words} " in *" rd.shell=0 "*) return 1;; esac; return 0; }}
        getarg() {{ case " {words} " in *" rd.break "*) return 0;; esac; return 1; }}
        function /usr/bin/kairos-boot {{ echo "$@"; }}
        action={action}
    """
    done = subprocess.run(["bash", "-c", f"{dracut}\n. {MODULE}/fatal.sh"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == called


def test_the_boot_loader_and_the_initrd_mean_the_same_entries_and_variables() -> None:
    from kairos_boot.boot import failures
    from kairos_boot.lifecycle import marker

    menu = (IMAGE / "grub.cfg").read_text()
    for mode, entry in failures.ENTRIES.items():
        assert f"--id {entry} {{" in menu, mode
        assert f"boot_image {entry} " in menu
    assert f'"${failures.LIST}"' in menu
    loaded = menu.split("load_env", 1)[1].split("if [", 1)[0].split()
    assert {failures.LIST, marker.RESUME, "next_entry", "saved_entry"} <= set(loaded)
    assert f'"${marker.RESUME}"' in menu
    assert "kairos.failed=$entry" in menu


@pytest.mark.parametrize("name", ["grub.cfg", "grubmenu.cfg", "bootargs.cfg", "live.cfg"])
def test_the_boot_loaders_scripts_are_sound(name: str) -> None:
    check = shutil.which("grub-script-check") or shutil.which("grub2-script-check")
    if not check:
        pytest.skip("grub-script-check (package grub-common) is not here")
    subprocess.run([check, IMAGE / name], check=True)


def test_no_node_of_ours_ends_at_a_prompt() -> None:
    """The net below whatever does not reach our own end of a boot (D12)."""
    [words] = [line for line in (IMAGE / "bootargs.cfg").read_text().splitlines() if line.startswith("set kernelcmd=")]
    assert {"panic=5", "rd.emergency=reboot", "rd.shell=0", "systemd.crash_reboot=yes"} <= set(words.split())


def test_the_dracut_module_brings_every_file_beside_it() -> None:
    setup = (MODULE / "module-setup.sh").read_text()
    for path in MODULE.iterdir():
        if path.name not in ("module-setup.sh", "__pycache__"):
            assert path.name in setup, path.name


def packing(top: Path) -> ModuleType:
    """closure.py, a copy of our own, for this checkout instead of the installed program."""
    spec = importlib.util.spec_from_file_location("closure", MODULE / "closure.py")
    assert spec
    assert spec.loader
    closure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(closure)
    vars(closure)["PROGRAM"] = str(top)
    return closure


def test_the_initrd_has_every_file_of_ours_that_its_verbs_may_import() -> None:
    """Lazy imports too: one that is missing would show in the one boot in a thousand that needs it."""
    top = MODULE.parents[1]
    closure = packing(top)
    packed = set(closure.sources())
    todo = [str(top / f"kairos_boot/cli/{name}.py") for name in ("initrd", "run_stage", "status", "logs")]
    seen: set[str] = set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        assert path in packed, path
        names = [name for name in closure.imports(path) if name.startswith("kairos_boot.")]
        files = {f"{name.replace('.', '/')}.py" for name in names} - {f"kairos_boot/{name}.py" for name in closure.BEHIND}
        todo += [f"{top}/{file}" for file in files if (top / file).exists()]
    assert f"{top}/kairos_boot/boot/ending.py" in seen
    assert f"{top}/kairos_boot/node/grubenv.py" in seen
    assert {f"{top}/kairos_boot/modules/{name}.py" for _, name in KEYS} <= packed
    assert {f"{top}/kairos_boot/actions/datasource_{name}.py" for name in ("clouds", "maas", "vmware", "web")} <= packed
    assert not [path for path in packed if "/lifecycle/" in path or "/lint.py" in path]


def test_status_and_logs_work_in_the_initrd_and_other_verbs_say_that_they_do_not(tmp_path: Path) -> None:
    """Run from nothing but the files that are packed; modules that no initrd has are not there either."""
    top = MODULE.parents[1]
    closure = packing(top)
    for path in closure.sources():
        target = tmp_path / "lib" / Path(path).relative_to(top)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    missing = "".join(f"sys.modules[{name!r}] = None\n" for name in closure.NOT_HERE)

    def kairos(*words: str) -> subprocess.CompletedProcess[str]:
        text = f"import sys\n{missing}sys.path[:0] = [{str(tmp_path / 'lib')!r}]\nfrom kairos_boot.cli.main import run\nsys.exit(run({list(words)!r}))"
        return subprocess.run([sys.executable, "-I", "-S", "-c", text], capture_output=True, text=True, check=False)

    root = tmp_path / "root"
    (root / "proc/sys/kernel/random").mkdir(parents=True)
    (root / "proc/sys/kernel/random/boot_id").write_text("b1\n")
    ledger = Ledger(f"{root}/run/cos/ledger", "b1")
    ledger.write("stage", event="start", stage="rootfs")
    ledger.write("stage", event="end", stage="rootfs", result="done", duration=0.1)
    told = kairos("status", "--root", str(root))
    assert (told.returncode, told.stderr) == (0, "")
    assert "rootfs" in told.stdout
    packed = kairos("logs", "--root", str(root), "-o", str(tmp_path / "out.tar.gz"))
    assert packed.returncode == 0, packed.stderr
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        assert "files/run/cos/ledger/b1.jsonl" in archive.getnames()
    unknown = kairos("run-stag", "rootfs")
    assert (unknown.returncode, unknown.stderr) == (2, "kairos-boot: unknown verb: run-stag (did you mean run-stage?); kairos-boot --help lists them\n")
    for verb in ("plan", "validate", "schema", "analyze"):
        other = kairos(verb, "x")
        assert (other.returncode, other.stdout, other.stderr.count("\n")) == (3, "", 1), other.stderr
        assert "not in the initrd" in other.stderr


@pytest.mark.parametrize("module", ["50kairos-boot", "51kairos-boot-crypt"])
def test_the_dracut_module_is_sound_shell(module: str) -> None:
    setup = MODULE.parent / module / "module-setup.sh"
    subprocess.run(["bash", "-n", setup], check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not here")
@pytest.mark.parametrize("module", ["50kairos-boot", "51kairos-boot-crypt"])
def test_shellcheck_finds_nothing_in_the_dracut_module(module: str) -> None:
    subprocess.run(["shellcheck", "-s", "bash", "-e", "SC2154", MODULE.parent / module / "module-setup.sh"], check=True)
