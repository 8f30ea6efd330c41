"""datasource without a network: what user data is and what becomes of it; clouds and media are in tests/namespace."""

from __future__ import annotations

import base64
import gzip
import sys
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.actions.base import Invalid, Note
from kairos_boot.actions.datasource import PROVIDERS
from kairos_boot.actions.datasource_userdata import read, unpack
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.modules import datasource
from kairos_boot.system import plainyaml
from tests.plans import heard

if TYPE_CHECKING:
    from kairos_boot.actions.base import Action
    from tests.modules.conftest import MakeStep, Node, Recorder

DOCUMENT = "#cloud-config\nhostname: 'x-{{ .MachineID }}'\n"
STORED = "/oem/95_userdata"


def pull(host: Node, step: MakeStep, content: str | bytes, **more: Any) -> list[bool | str]:
    """Take *content* as user data by the provider `file`, whose directory is then /run/config."""
    host.put("/oem/given", content)
    return host.do(datasource, step(datasource={"providers": ["file"], "path": "/oem/given", **more}))


def errors(results: list[bool | str]) -> list[str]:
    """The texts of what failed."""
    return [item for item in results if isinstance(item, str)]


def applied(host: Node, step: MakeStep, **source: Any) -> list[Action]:
    """The actions of a run, applied; none may fail."""
    actions = []
    for action, came in heard(datasource.plan(step(datasource=source), Facts(read=host.read)), lambda action: action.apply(host)):
        assert not isinstance(came, KairosError), came
        actions.append(action)
    return actions


def warnings(host: Node, step: MakeStep, **source: Any) -> list[str]:
    """The warnings of a run."""
    return [action.describe() for action in applied(host, step, **source) if isinstance(action, Note) and not action.quiet]


def test_a_cloud_config_is_kept_twice_for_root_alone_and_never_rendered(host: Node, step: MakeStep) -> None:
    assert errors(pull(host, step, DOCUMENT)) == []
    for name in ("userdata", "userdata.yaml"):
        assert host.text(f"/run/config/{name}") == DOCUMENT
        assert host.mode(f"/run/config/{name}") == 0o600
    assert host.mode("/run/config") == 0o755


@pytest.mark.parametrize("content", ["stages:\n  boot:\n  - commands: [id]\n", "", "# a comment\n", "\ufeff#cloud-config\n{}\n"])
def test_whatever_loads_is_kept_as_a_document(host: Node, step: MakeStep, content: str) -> None:
    results = pull(host, step, content, userdata_name="01_user.yaml")
    if content:
        assert errors(results) == []
        assert host.text("/run/config/01_user.yaml") == content
    else:
        assert results == [True, False, False]


def test_a_second_run_writes_nothing(host: Node, step: MakeStep) -> None:
    pull(host, step, DOCUMENT)
    before = host.state()
    assert not any(host.do(datasource, step(datasource={"providers": ["file"], "path": "/oem/given"})))
    assert host.state() == before


def test_a_script_is_kept_and_runs_once(host: Node, step: MakeStep, recorder: Recorder) -> None:
    script = "#!/bin/sh -e\necho '{{ .Values }}'\n"
    assert errors(pull(host, step, script)) == []
    assert recorder.argvs == [("/bin/sh", "-e", "/run/config/userdata")]
    assert host.text("/run/config/userdata") == script
    assert host.mode("/run/config/userdata") == 0o700
    assert host.read("/run/config/userdata.yaml") is None
    assert not any(pull(host, step, script))
    assert len(recorder.calls) == 1, "it ran again"
    pull(host, step, script + "echo more\n")
    assert len(recorder.calls) == 2, "another script did not run"


def test_a_script_that_fails_says_so_and_the_name_is_set_all_the_same(host: Node, step: MakeStep, recorder: Recorder) -> None:
    recorder.answer("/bin/sh", code=3)
    host.put("/run/config/hostname", "earlier\n")
    results = pull(host, step, "#!/bin/sh\nexit 3\n")
    assert [text for text in errors(results) if "the script of the user data: exit status 3" in text]
    assert host.text("/etc/hostname") == "earlier\n"


def test_a_script_that_failed_or_was_cut_off_runs_again(host: Node, step: MakeStep, recorder: Recorder) -> None:
    """Only one that came to its end has run; the failure is told at each boot until then."""
    script = "#!/bin/sh\nid\n"
    recorder.answer("/bin/sh", code=3)
    for number in (1, 2):
        assert [text for text in errors(pull(host, step, script)) if "exit status 3" in text]
        assert len(recorder.calls) == number
    recorder.answer("/bin/sh", code=0)
    assert errors(pull(host, step, script)) == []
    assert len(recorder.calls) == 3
    assert not any(pull(host, step, script))
    assert len(recorder.calls) == 3


@pytest.mark.parametrize("content", ["#!/bin/sh\r\nid\r\n", "\ufeff#!/bin/sh\nid\n"])
def test_a_script_of_a_windows_editor_is_kept_as_the_interpreter_wants_it(host: Node, step: MakeStep, recorder: Recorder, content: str) -> None:
    """Decision B12."""
    assert errors(pull(host, step, content)) == []
    assert host.text("/run/config/userdata") == "#!/bin/sh\nid\n"
    assert recorder.argvs == [("/bin/sh", "/run/config/userdata")]


def test_every_member_of_a_packed_file_counts(host: Node, step: MakeStep) -> None:
    """A file of several members; zeros behind the last one are padding, anything else is damage."""
    packed = gzip.compress(b"#cloud-config\n") + gzip.compress(b"hostname: a\n")
    assert unpack(packed, 100) == unpack(packed + bytes(10), 100) == b"#cloud-config\nhostname: a\n"
    with pytest.raises(KairosError, match="followed by something else"):
        unpack(packed + b"x", 100)
    with pytest.raises(KairosError, match="larger than 20 bytes"):
        unpack(packed, 20)


@pytest.mark.parametrize(("line", "program"), [("#!/bin/sh", ("/bin/sh",)), ("#! /usr/bin/env  python3 -I", ("/usr/bin/env", "python3 -I")),
                                               ("#!", ("/bin/sh",)), ("#!/bin/sh\r", ("/bin/sh",))])
def test_the_interpreter_is_read_as_the_kernel_reads_it(line: str, program: tuple[str, ...]) -> None:
    assert read(f"{line}\nbody\n".encode(), 100).interpreter() == program


@pytest.mark.parametrize(("content", "hint"), [("#include\nhttp://SECRET.example\n", "begin it with"), (base64.b64encode(gzip.compress(b"SECRET")), "looks like base64")])
def test_data_of_no_known_kind_is_kept_and_a_failure(host: Node, step: MakeStep, content: str | bytes, hint: str) -> None:
    """Decision B14: the provider is there, and what it gives is of no use."""
    [said] = errors(pull(host, step, content))
    assert "the user data of file is neither a cloud-config nor a script; it is kept in /run/config/userdata" in said
    assert hint in said
    assert "SECRET" not in said
    assert host.read("/run/config/userdata") == (content.encode() if isinstance(content, str) else content)
    assert host.read("/run/config/userdata.yaml") is None


def test_a_broken_cloud_config_fails_at_its_line_and_is_no_document(host: Node, step: MakeStep) -> None:
    [error] = errors(pull(host, step, "#cloud-config\nusers: {\n"))
    assert "/run/config/userdata:3:" in error
    assert host.text("/run/config/userdata").startswith("#cloud-config")
    assert host.read("/run/config/userdata.yaml") is None


def test_packed_user_data_is_unpacked(host: Node, step: MakeStep) -> None:
    assert errors(pull(host, step, gzip.compress(DOCUMENT.encode()))) == []
    assert host.text("/run/config/userdata") == host.text("/run/config/userdata.yaml") == DOCUMENT


def test_damaged_packed_user_data_is_kept_as_it_came(host: Node, step: MakeStep) -> None:
    packed = gzip.compress(DOCUMENT.encode())[:-12]
    [error] = errors(pull(host, step, packed))
    assert "ends too early" in error
    assert host.read("/run/config/userdata") == packed


def test_a_small_archive_cannot_fill_the_memory() -> None:
    with pytest.raises(KairosError, match="unpacked it is larger than 1000 bytes"):
        unpack(gzip.compress(bytes(100_000)), 1000)


def message(*parts: tuple[str, str], boundary: str = "==3141==") -> bytes:
    """User data of several parts."""
    made = MIMEMultipart(boundary=boundary)
    for kind, text in parts:
        part = MIMEText(text, kind, "utf-8")
        part.add_header("Content-Disposition", "attachment", filename=f"{kind}.txt")
        made.attach(part)
    return made.as_bytes()


@pytest.mark.parametrize("boundary", ["MIMEBOUNDARY", "==3141==", "a b"])
@pytest.mark.parametrize("packed", [False, True])
def test_the_cloud_config_of_a_message_with_any_boundary_counts(host: Node, step: MakeStep, boundary: str, packed: bool) -> None:
    raw = message(("x-shellscript", "#!/bin/sh\n"), ("cloud-config", DOCUMENT), boundary=boundary)
    assert errors(pull(host, step, gzip.compress(raw) if packed else raw)) == []
    assert host.text("/run/config/userdata.yaml") == DOCUMENT
    assert host.processes.argvs == []


def test_parts_that_are_not_used_are_named(host: Node, step: MakeStep) -> None:
    host.put("/oem/given", message(("cloud-config", DOCUMENT), ("x-shellscript", "#!/bin/sh\n"), ("cloud-boothook", "x")))
    said = warnings(host, step, providers=["file"], path="/oem/given")
    assert [text for text in said if "not used: text/x-shellscript x-shellscript.txt" in text]
    assert [text for text in said if "not used: text/cloud-boothook cloud-boothook.txt" in text]
    assert len(said) == 2


def test_a_script_alone_in_a_message_runs(host: Node, step: MakeStep) -> None:
    assert errors(pull(host, step, message(("plain", "hello"), ("x-shellscript", "#!/bin/sh\nid\n")))) == []
    assert host.processes.argvs == [("/bin/sh", "/run/config/userdata")]


def test_the_login_of_something_that_is_no_provider_is_not_told(host: Node, step: MakeStep) -> None:
    """Decision C5."""
    [said] = warnings(host, step, providers=["config-url:http://u:CANARY@example/x?t=CANARY"])
    assert "CANARY" not in said
    assert "no such provider: 'config-url:" in said


@pytest.mark.parametrize(("name", "hint"), [("aws2", "did you mean 'aws'?"), ("OpenStack", "did you mean 'openstack'?"), ("zzz", "known are cdrom, ")])
def test_an_unknown_provider_is_a_warning_with_a_suggestion(host: Node, step: MakeStep, name: str, hint: str) -> None:
    host.put("/oem/given", DOCUMENT)
    said = warnings(host, step, providers=[name, "file"], path="/oem/given")
    assert len(said) == 1
    assert said[0].startswith("/oem/a.yaml: stages.s[0].datasource.providers[0]: no such provider")
    assert hint in said[0]
    assert host.text("/run/config/userdata") == DOCUMENT


def test_no_providers_do_nothing(host: Node, step: MakeStep) -> None:
    assert list(datasource.plan(step(datasource={"path": STORED}), Facts())) == []


@pytest.mark.parametrize("source", [{"path": "oem/x"}, {"userdata_name": "../passwd"}, {"userdata_name": "/etc/passwd"}, {"userdata_name": ".."}])
def test_names_that_lead_elsewhere_are_refused(host: Node, step: MakeStep, source: dict[str, str]) -> None:
    [action] = datasource.plan(step(datasource={"providers": ["file"], **source}), Facts())
    assert isinstance(action, Invalid)


@pytest.mark.parametrize(("providers", "why"), [
    (["file"], "(file: no such file: /oem/95_userdata)"), (["cdrom", "config-drive"], "(cdrom, config-drive: no medium)"),
    (["vmware"], "(vmware: not a virtual machine of VMware)"), (["nobody"], ""), (["maas"], "(maas: neither /oem/maas/datasource.yaml nor "),
])  # fmt: skip
def test_that_nobody_has_anything_is_no_failure_and_noted(host: Node, step: MakeStep, providers: list[str], why: str) -> None:
    """Decision B14: plain hardware has no provider. It is told, as no warning."""
    actions = applied(host, step, providers=providers, path=STORED)
    notes = [action for action in actions if isinstance(action, Note) and action.quiet]
    assert [note.message.partition(" (")[0] for note in notes] == ["no metadata/userdata found"]
    assert notes[0].describe().startswith("/oem/a.yaml: stages.s[0].datasource: ")
    assert why in notes[0].message


def test_a_file_that_cannot_be_used_is_a_failure(host: Node, step: MakeStep, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider is there and answers wrongly; so is one that is given no path."""
    monkeypatch.setattr("kairos_boot.actions.datasource.LIMIT", 4)
    assert "file: /oem/given is larger than 4 bytes" in errors(pull(host, step, DOCUMENT))[0]
    assert "file: needs the key path" in errors(host.do(datasource, step(datasource={"providers": ["file"]})))[0]


def test_a_plan_is_made_without_asking_anybody(host: Node, step: MakeStep) -> None:
    actions = list(datasource.plan(step(datasource={"providers": list(PROVIDERS), "path": STORED}), Facts()))
    assert [action.describe() for action in actions] == ["make directory /run/config", f"look for user data: {', '.join(PROVIDERS)}"]
    assert [action.would_change(host) for action in actions] == [True, None]


def test_a_file_stands_in_front_of_the_network_behind_it(host: Node, step: MakeStep) -> None:
    host.put("/oem/given", DOCUMENT)
    results = host.do(datasource, step(datasource={"providers": ["file", "aws"], "path": "/oem/given"}))
    assert errors(results) == []
    assert host.text("/run/config/userdata.yaml") == DOCUMENT
    assert host.text("/oem/given") == DOCUMENT


@pytest.fixture
def guest(host: Node) -> Node:
    """A virtual machine of VMware."""
    host.put("/sys/class/dmi/id/sys_vendor", "VMware, Inc.\n")
    return host


def tell(recorder: Recorder, tool: tuple[str, ...], **values: str) -> None:
    """Give guestinfo variables to *tool*, which says `No value found` of others."""
    for name in ("userdata", "metadata", "vendordata", "userdata.encoding", "metadata.encoding", "vendordata.encoding"):
        value = values.get(name.replace(".", "_"))
        recorder.answer(*tool, f"info-get guestinfo.{name}", code=value is None, output="No value found\n" if value is None else f"{value}\n")


RPC, DAEMON = ("vmware-rpctool",), ("vmtoolsd", "--cmd")


@pytest.mark.parametrize(("encoding", "value"), [
    ("", DOCUMENT), ("base64", base64.b64encode(DOCUMENT.encode()).decode()), ("b64", base64.encodebytes(DOCUMENT.encode()).decode()),
    ("gzip+base64", base64.b64encode(gzip.compress(DOCUMENT.encode())).decode()), ("gz+b64", base64.b64encode(gzip.compress(DOCUMENT.encode())).decode())])
@pytest.mark.parametrize("tool", [RPC, DAEMON])
def test_vmware_gives_guestinfo_in_every_encoding(guest: Node, step: MakeStep, recorder: Recorder, encoding: str, value: str, tool: tuple[str, ...]) -> None:
    if tool is DAEMON:
        recorder.answer(*RPC, code=127)
    tell(recorder, tool, userdata=value, userdata_encoding=encoding, vendordata="vendor: SECRET")
    results = guest.do(datasource, step(datasource={"providers": ["vmware"], "path": STORED}))
    assert errors(results) == []
    assert guest.text(f"{STORED}/userdata.yaml").strip() == DOCUMENT.strip()
    assert guest.text("/run/config/vendordata") == "vendor: SECRET\n"
    assert guest.mode("/run/config/vendordata") == 0o600


@pytest.mark.parametrize("values", [{}, {"userdata": "---"}])
def test_vmware_without_user_data_is_no_failure(guest: Node, step: MakeStep, recorder: Recorder, values: dict[str, str]) -> None:
    tell(recorder, RPC, **values)
    assert warnings(guest, step, providers=["vmware"]) == []


@pytest.mark.parametrize(("values", "text"), [
    ({"userdata": "a: b", "userdata_encoding": "rot13"}, "encoding is not known: 'rot13'"),
    ({"userdata": "SECRET!", "userdata_encoding": "base64"}, "guestinfo.userdata is not base64"),
    ({"userdata": "[… 5 bytes left out …]\n"}, "too long")])
def test_vmware_that_gives_nothing_useful_says_why(guest: Node, step: MakeStep, recorder: Recorder, values: dict[str, str], text: str) -> None:
    tell(recorder, RPC, **values)
    [error] = errors(guest.do(datasource, step(datasource={"providers": ["vmware"]})))
    assert text in error
    assert "SECRET" not in error


def test_another_machine_is_not_asked_for_guestinfo(host: Node, step: MakeStep, recorder: Recorder) -> None:
    host.put("/sys/class/dmi/id/sys_vendor", "QEMU\n")
    host.do(datasource, step(datasource={"providers": ["vmware"]}))
    assert recorder.calls == []


@pytest.mark.parametrize(("name", "kept"), [("node01.example\n", "node01.example"), ("n" * 20 + "." + "x" * 60, "n" * 20)])
def test_the_host_name_comes_without_its_newline_and_fits_the_kernel(host: Node, step: MakeStep, name: str, kept: str) -> None:
    host.put("/etc/hosts", "127.0.0.1 localhost\n")
    host.put("/run/config/hostname", name)
    assert errors(pull(host, step, DOCUMENT)) == []
    assert host.text("/etc/hostname") == f"{kept}\n"
    assert host.text("/etc/hosts") == f"127.0.0.1 localhost {kept}\n"


@pytest.mark.parametrize("name", ["a b", '{{ env "PATH" }}', "x\ny", "n" * 65, "-\x1b[2J"])
def test_what_is_no_host_name_is_refused(host: Node, step: MakeStep, name: str) -> None:
    host.put("/run/config/hostname", name)
    assert [text for text in errors(pull(host, step, DOCUMENT)) if "the metadata's host name is none" in text]
    assert host.read("/etc/hostname") is None


def test_metadata_documents_are_plain_data_whatever_their_depth() -> None:
    assert plainyaml.load(b"a: &x [1, yes, 'b']\nc: *x\nd: {e: }\n") == {"a": ["1", "yes", "b"], "c": ["1", "yes", "b"], "d": {"e": ""}}
    assert plainyaml.load(b'{"a": ["\\u00e4", null]}') == {"a": ["ä", "null"]}
    assert plainyaml.load(b"") is None
    deep: Any
    for deep in (b"[" * 100_000, b"a: [", b"\xff\xfe\x00", b"a: \x00"):
        with pytest.raises(KairosError, match="not YAML"):
            plainyaml.load(deep)


def test_nothing_of_the_network_is_loaded_before_it_is_needed() -> None:
    import subprocess

    code = ("import sys; import kairos_boot.modules.datasource; "
            "print([n for n in ('socket', 'threading', 'http', 'yaml', 'email', 'json', 'queue', 'zlib', 'pyroute2', 'difflib') if n in sys.modules])")
    done = subprocess.run([sys.executable, "-S", "-c", code], check=True, text=True, capture_output=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "[]\n"


def test_the_reference_page_lists_every_provider() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/datasource.md").read_text(encoding="utf-8")
    listed = [line.split("`")[1] for line in page.partition("## Providers")[2].partition("\n## ")[0].splitlines() if line.startswith("| `")]
    assert sorted(listed) == sorted(PROVIDERS)
