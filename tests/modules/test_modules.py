"""modules: the kernel's modules, through modprobe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.modules import modules

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node, Recorder, Tools

LOADED = "nvme 57344 4 - Live 0x0000000000000000\nusb_storage 81920 0 - Live 0x0\n"


def test_modprobe_loads_with_parameters(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """One call an item, in document order, without a shell."""
    host.do(modules, step(modules=["zram num_devices=2", "overlay"]))
    assert recorder.argvs == [("modprobe", "--", "zram", "num_devices=2"), ("modprobe", "--", "overlay")]


def test_what_is_there_is_not_loaded(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """Loaded, built in with parameters, and names whose dashes the kernel shows as underscores."""
    host.put("/proc/modules", LOADED)
    host.put("/sys/module/tcp_cubic/parameters/beta")
    before = host.state()
    assert host.do(modules, step(modules=["nvme", "usb-storage", "usb_storage delay_use=1", "tcp-cubic"])) == [False] * 4
    assert recorder.argvs == []
    assert host.state() == before


def test_second_run_changes_nothing(host: Node, step: MakeStep, tools: Tools) -> None:
    """Changed is what the kernel shows: an alias or a built-in module that modprobe agrees to is no change."""
    host.put("/proc/modules", LOADED)
    tools(host, modprobe=f'[ "$2" = builtin ] || grep -q crc32c_intel {host.root}/proc/modules || echo "crc32c_intel 1 0 - Live 0x0" >>{host.root}/proc/modules')
    assert host.do(modules, step(modules=["crypto-crc32c", "builtin"])) == [True, False]
    before = host.state()
    assert host.do(modules, step(modules=["crypto-crc32c", "builtin"])) == [False, False]
    assert host.state() == before


def test_a_missing_module_does_not_stop_the_next(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """Its error has modprobe's own words and the place."""
    recorder.answer("modprobe", "--", "nosuch", code=1, output="modprobe: FATAL: Module nosuch not found in directory /lib/modules/6.1\n")
    error, done = host.do(modules, step(modules=["nosuch", "zram"]))
    assert "stages.s[0].modules[0]" in str(error)
    assert "not found in directory" in str(error)
    assert recorder.argvs[-1] == ("modprobe", "--", "zram")
    assert done is False


@pytest.mark.parametrize("item", ["", " ", "-r nvme", "../evil", "a/b.ko"])
def test_what_is_no_name_is_refused(host: Node, step: MakeStep, recorder: Recorder, item: str) -> None:
    """Options of modprobe and paths are no modules."""
    refused, _ = host.do(modules, step(modules=[item, "zram"]))
    assert "modules[0]" in str(refused)
    assert recorder.argvs == [("modprobe", "--", "zram")]


def test_no_modprobe_is_an_error_with_its_place(host: Node, step: MakeStep, tools: Tools) -> None:
    """The program's absence is what went wrong, not a crash."""
    tools(host)
    host.processes.environment["PATH"] = "/nonexistent"
    [error] = host.do(modules, step(modules=["zram"]))
    assert "stages.s[0].modules[0]: cannot run modprobe" in str(error)
