"""Settings that nobody would read are told: without the header, misspelt, or of the wrong kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from kairos_boot.cli.arguments import UsageError
from kairos_boot.cli.install import run as install
from kairos_boot.cli.plan import run as plan
from kairos_boot.cli.validate import run, settings
from kairos_boot.errors import KairosError
from kairos_boot.node.config import DIRECTORIES, Collector, from_cmdline, settings_of
from kairos_boot.node.sections import understood
from kairos_boot.system.host import Host
from kairos_boot.system.reader import HostReader


def told(text: str) -> list[str]:
    return [f"{p.severity}: {p}" for p in settings(text.encode(), "/d.yaml")]


@pytest.mark.parametrize("key", ["install", "reset", "upgrade", "config_url", "grub_options", "k3s"])
def test_a_setting_without_the_header_is_an_error(key: str) -> None:
    [error] = told(f"stages: {{}}\n{key}: {{auto: true}}\n")
    assert error.startswith(f"error: /d.yaml:2:1: {key}: ")
    assert "#cloud-config" in error
    assert not told(f"#cloud-config\nstages: {{}}\n{key}:\n")


@pytest.mark.parametrize(("text", "place", "meant"), [
    ("install: {partitons: {}}", "2:11: install.partitons", "partitions"), ("install: {no-user: true}", "2:11: install.no-user", "nousers"),
    ("install:\n  bind-mounts: [/x]", "3:3: install.bind-mounts", "bind_mounts"), ("reset: {persistent: 1}", "2:9: reset.persistent", "reset-persistent"),
    ("install: {partitions: {persistent: {sise: 2048}}}", "2:37: install.partitions.persistent.sise", "size"),
])
def test_an_unknown_key_is_an_error_at_the_key(text: str, place: str, meant: str) -> None:
    [error] = told(f"#cloud-config\n{text}\n")
    assert error.startswith(f"error: /d.yaml:{place}: unknown key")
    assert meant in error


@pytest.mark.parametrize(("text", "place"), [
    ("install: {auto: maybe}", "2:17: install.auto"), ("install: x", "2:10: install"), ("reset: {reset-oem: 1}", "2:20: reset.reset-oem"), ("strict: [x]", "2:9: strict"),
    ("install: {bind_mounts: /x}", "2:24: install.bind_mounts"), ("upgrade: {system: {size: 4G}}", "2:26: upgrade.system.size"),
])
def test_a_value_of_the_wrong_kind_is_an_error_with_its_place(text: str, place: str) -> None:
    [error] = told(f"#cloud-config\n{text}\n")
    assert error.startswith(f"error: /d.yaml:{place}: ")


@pytest.mark.parametrize(("text", "said"), [
    ("bundles: [{target: ['container://x']}]", "error: /d.yaml:2:12: bundles[0].target: unknown key 'target'; did you mean 'targets'?"),
    ("install: {bundles: [{targets: container://x}]}", "error: /d.yaml:2:31: install.bundles[0].targets: a list belongs here"),
    ("bundles: {targets: [x]}", "error: /d.yaml:2:10: bundles: a list belongs here"), ("fail_on_bundles_errors: maybe", "error: /d.yaml:2:25: fail_on_bundles_errors: true or false"),
])
def test_what_is_wrong_with_a_bundle_is_told_at_its_place(text: str, said: str) -> None:
    [found] = told(f"#cloud-config\n{text}\n")
    assert found.startswith(said)


def test_what_an_installation_reads_is_known() -> None:
    assert not told("#cloud-config\ninstall: {auto: true, device: auto, partitions: {oem: {size: 64, fs: ext4}}, extra-partitions: [{name: a, size: 1}], grub_options: {a: b},"
                    " system: {size: '4096'}, force: null}\nreset: {reset-oem: true}\nk3s: {enabledd: 1}\n")


def test_the_node_is_told_of_a_document_that_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "oem").mkdir()
    (tmp_path / "oem/a.yaml").write_text("stages: {}\ninstall: {auto: true}\n")
    config = Collector(HostReader(Host(str(tmp_path))), dict).collect("", DIRECTORIES)
    assert [str(p).partition(": 'install'")[0] for p in config.problems] == ["/oem/a.yaml:2:1: install"]


def test_nothing_that_was_read_is_not_called_valid(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.YAML").write_text("x: 1")
    assert run([str(tmp_path)]) == 0
    assert "no document (*.yaml, *.yml)" in capfd.readouterr().out
    assert plan(["boot", str(tmp_path)]) == 0
    assert "no document (*.yaml, *.yml)" in capfd.readouterr().err
    (tmp_path / "b.yaml").write_text("")
    assert run([str(tmp_path / "b.yaml")]) == 0
    assert "the document is empty" in capfd.readouterr().out


@pytest.mark.parametrize(("word", "said"), [("foo", "KEY=VALUE"), ("instal.partitions.state.size=4096", "'install'"), ("k3s.enabled=true", "k3s"),
                                          ("install.grub_options.extra_cmdline=a b", "quotes")])
def test_a_word_that_would_set_nothing_is_wrong_usage(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        install(["--disk-image", "/nonexistent/x.raw", "--source", "dir:/nonexistent", "--set", word])


@pytest.mark.parametrize(("text", "meant"), [('"true"', True), ("true", True), ("yes", True), ("'False'", False), ("off", False)])
def test_an_action_takes_a_boolean_as_it_is_meant_in_quotes_too(text: str, meant: bool) -> None:
    found = understood(settings_of(f"#cloud-config\ncosign: {text}\ninstall: {{no-format: {text}, system: {{size: '8192'}}}}\n".encode(), "/d.yaml").settings, "install")
    assert found["install"]["no-format"] is meant
    assert found["cosign"] is meant
    assert found["install"]["system"]["size"] == 8192
    assert understood(from_cmdline("kairos.config=reset.reset-persistent=false"), "reset")["reset"]["reset-persistent"] is False


@pytest.mark.parametrize("text", ["install: {no-format: maybe}", "install: {system: {size: 8G}}", "install: {system: {size: 99999999999999999999999}}", "cosign: 1"])
def test_an_action_refuses_what_is_no_boolean_or_size_with_its_place(text: str) -> None:
    found = settings_of(f"#cloud-config\n{text}\n".encode(), "/d.yaml").settings
    with pytest.raises(KairosError) as refused:
        understood(found, "install")
    assert refused.value.where.startswith("/d.yaml:2:")


@pytest.mark.parametrize(("text", "said"), [("install: {encrypted_partitions: [COS_PERSISTENT, oem]}", ""), ("install: {encrypted_partitions: [COS_STATE]}", "not a partition that can be encrypted: 'COS_STATE'"), ("install: {iso: x}", "an ISO file is no source"),
                                            ("install: {encrypted_partitions: []}", "")])  # fmt: skip
def test_what_an_installation_refuses_for_its_key_is_an_error(text: str, said: str) -> None:
    assert [said in error and error.startswith("error: /d.yaml:2:") for error in told(f"#cloud-config\n{text}\n")] == ([True] if said else [])
