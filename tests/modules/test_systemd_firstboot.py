"""systemd_firstboot: one call of systemd's tool, which keeps no password in its arguments."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from kairos_boot.facts import Facts
from kairos_boot.modules import systemd_firstboot
from kairos_boot.system.passwords import hashed, verify

if TYPE_CHECKING:
    from tests.modules.conftest import MakeStep, Node, Recorder, Tools

needs_tool = pytest.mark.skipif(not shutil.which("systemd-firstboot"), reason="no systemd-firstboot here")


def test_options_are_sorted_and_in_small_letters(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """The word true is an option without a value; a value with a blank stays one argument."""
    host.do(systemd_firstboot, step(systemd_firstboot={"keymap": "us", "LOCALE": "en_US.UTF-8", "force": "true", "kernel-command-line": "a b"}))
    assert recorder.argvs == [("systemd-firstboot", "--force", "--kernel-command-line=a b", "--keymap=us", "--locale=en_US.UTF-8")]


def test_what_is_set_already_is_not_set_again(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """Nothing runs, even with force, when every setting is as wanted."""
    host.put("/etc/vconsole.conf", "KEYMAP=us\n")
    host.put("/etc/locale.conf", 'LANG="C.UTF-8"\nLC_MESSAGES=C\n')
    host.put("/etc/shadow", f"root:{hashed('open sesame')}:19000::::::\n")
    host.put("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    os.symlink("../usr/share/zoneinfo/Europe/Rome", host.root + "/etc/localtime")
    wanted = {"force": "true", "keymap": "us", "locale": "C.UTF-8", "locale-messages": "C", "timezone": "Europe/Rome", "root-password": "open sesame",
              "root-shell": "/bin/sh"}
    assert host.do(systemd_firstboot, step(systemd_firstboot=wanted)) == [False]
    assert recorder.argvs == []
    host.do(systemd_firstboot, step(systemd_firstboot={**wanted, "root-password": "another"}))
    assert len(recorder.argvs) == 1


def test_passwords_are_in_no_argument_and_no_text(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """The plain one goes through standard input, the hash through a credential; neither is in a plan or an error."""
    recorder.answer("systemd-firstboot", code=1, output="no way")
    for key, secret in (("root-password", "hunter2"), ("root-password-hashed", "$6$salt$hash")):
        wanted = step(systemd_firstboot={key: secret})
        [action] = systemd_firstboot.plan(wanted, Facts())
        [error] = host.do(systemd_firstboot, wanted)
        call = recorder.calls[-1]
        for text in (action.describe(), str(error), " ".join(call.argv), " ".join(call.env.values())):
            assert secret not in text
        assert "exit status 1\nno way" in str(error)
    assert [call.argv[1:] for call in recorder.calls] == [("--root-password-file=/dev/stdin",), ("--prompt-root-password",)]
    assert recorder.calls[0].stdin == b"hunter2\n"
    assert "CREDENTIALS_DIRECTORY" in recorder.calls[1].env
    assert os.listdir(host.root + "/run/kairos-boot") == []


@needs_tool
def test_the_real_tool_and_a_second_run(host: Node, step: MakeStep, tools: Tools) -> None:
    """It writes the settings below its root; a second run changes nothing."""
    tools(host)
    host.put("/usr/share/zoneinfo/Europe/Rome", "TZif")
    host.put("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    wanted = step(systemd_firstboot={"root": host.root, "locale": "C.UTF-8", "hostname": "quince", "root-password": "hunter2", "timezone": "Europe/Rome"})
    assert host.do(systemd_firstboot, wanted) == [True]
    assert "LANG=C.UTF-8\n" in [host.text(path) for path in ("/etc/default/locale", "/etc/locale.conf") if host.exists(path)]
    assert host.text("/etc/hostname") == "quince\n"
    assert verify("hunter2", host.text("/etc/shadow").split(":")[1])
    before = host.state()
    assert host.do(systemd_firstboot, wanted) == [False]
    assert {path: entry for path, entry in host.state().items() if not path.endswith("/.")} == {p: e for p, e in before.items() if not p.endswith("/.")}


@needs_tool
def test_the_real_tool_takes_the_hash(host: Node, step: MakeStep, tools: Tools) -> None:
    """The credential is what it reads."""
    tools(host)
    host.put("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    credentials = []
    run = host.processes.run

    class Look:
        """Sees what the program is given."""

        def run(self, argv: tuple[str, ...], **more: object) -> object:
            env = more["env"]
            assert isinstance(env, dict)
            env["CREDENTIALS_DIRECTORY"] = host.root + env["CREDENTIALS_DIRECTORY"]  # no chroot here
            credentials.append(oct(os.stat(env["CREDENTIALS_DIRECTORY"]).st_mode & 0o777))
            return run(argv, **more)

    host.processes = Look()
    assert host.do(systemd_firstboot, step(systemd_firstboot={"root": host.root, "root-password-hashed": "$6$salt$hash"})) == [True]
    assert host.text("/etc/shadow").startswith("root:$6$salt$hash:")
    assert credentials == ["0o700"]


def test_what_is_no_option_does_not_stop_the_others(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """The key is named with its place."""
    bad, lines, _ = host.do(systemd_firstboot, step(systemd_firstboot={"--root": "/x", "locale": "a\nb", "keymap": "us"}))
    assert "systemd_firstboot.--root" in str(bad)
    assert "more than one line" in str(lines)
    assert recorder.argvs == [("systemd-firstboot", "--keymap=us")]
