"""The merged configuration: order, rules of the merge, scalars as written, `config_url`, the kernel command line (F1-F3)."""

from __future__ import annotations

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.node.config import Collector, Config, from_cmdline
from kairos_boot.node.yamltext import dump

DIRECTORY, FILE = 0o040755, 0o100644


class Files:
    """A reader of files and addresses in memory."""

    def __init__(self, files: dict[str, str], web: dict[str, str]) -> None:
        self.files, self.web = files, web
        self.asked: list[str] = []
        self.root = "/"

    def stamp(self, path: str) -> tuple[int, int, int, int, int, int]:
        if not any(name == path or name.startswith(path + "/") for name in self.files):
            raise FileNotFoundError(2, "No such file or directory", path)
        return (FILE if path in self.files else DIRECTORY, 0, 0, 0, 0, 0)

    def names(self, path: str) -> list[tuple[str, bool]]:
        below = {name[len(path) + 1:].partition("/")[::2] for name in self.files if name.startswith(path + "/")}
        return [(name, bool(rest)) for name, rest in below]

    def read(self, path: str) -> bytes:
        return self.files[path].encode()

    def pipe(self, path: str) -> bytes:
        return self.read(path)

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.web:
            raise KairosError(f"{url.partition('?')[0]}: not found (404)")
        return self.web[url].encode()

    def stdin(self) -> bytes:
        return b""

    def now(self) -> int:
        return 0

    def kept(self, path: str) -> bytes | None:
        return None

    def keep(self, path: str, data: bytes) -> None:
        pass


def collect(files: dict[str, str], cmdline: str = "", web: dict[str, str] | None = None, *, header: bool = True) -> Config:
    texts = {path: ("#cloud-config\n" if header else "") + text for path, text in files.items()}
    reader = Files(texts, {url: "#cloud-config\n" + text for url, text in (web or {}).items()})
    return Collector(reader, lambda: {"Random": "a b"}).collect(cmdline)


def test_directories_come_in_the_published_order_and_the_kernel_command_line_last() -> None:
    places = ["/run/initramfs/live", "/usr/local/cloud-config", "/etc/kairos", "/etc/elemental", "/oem"]
    config = collect({f"{place}/a.yaml": f"install: {{p{at}: {place}, last: {place}}}" for at, place in enumerate(places)}, "install.last=cmdline")
    assert config.sources == [f"{place}/a.yaml" for place in places]
    assert config.settings.data["install"] == {**{f"p{at}": place for at, place in enumerate(places)}, "last": "cmdline"}
    assert [p.where for p in config.problems] == ["/etc/elemental/a.yaml"]


@pytest.mark.parametrize(("old", "new", "merged"), [
    ("a: {b: 1, c: 2}", "a: {c: 3}", {"a": {"b": 1, "c": 3}}),
    ("users: [{name: x}]", "users: [{name: x}]", {"users": [{"name": "x"}, {"name": "x"}]}),
    ("a: [x, y]", "a: [y, z]", {"a": ["x", "y", "z"]}),
    ("a: []", "a: [1]", {"a": [1]}),
    ("a: text", "a: null", {"a": ""}),
    ("a: 5", "a:", {"a": 0}),
    ("a: [1]", "a: ~", {"a": []}),
    ("a: ~", "a: ~", {"a": None}),
    ("a: ~", "a: {b: 1}", {"a": {"b": 1}}),
    ("a: true", "a: false", {"a": False}),
])
def test_two_documents_merge_by_the_published_rules(old: str, new: str, merged: object) -> None:
    config = collect({"/oem/1.yaml": old, "/oem/2.yaml": new})
    assert config.settings.data == merged
    assert not config.problems


@pytest.mark.parametrize(("old", "new"), [("a: {b: 1}", "a: text"), ("a: [1]", "a: {b: 1}"), ("a: text", "a: [1]")])
def test_a_conflict_of_types_names_both_files_and_the_rest_counts(old: str, new: str) -> None:
    config = collect({"/oem/1.yaml": old, "/etc/kairos/2.yaml": new + "\nb: 1"})
    [problem] = config.problems
    assert problem.severity == "error"
    assert problem.where.startswith("/oem/1.yaml:2:4")
    assert "/etc/kairos/2.yaml:2:4" in problem.message
    assert config.settings.data["b"] == 1


def test_stages_are_concatenated() -> None:
    config = collect({"/oem/1.yaml": "stages: {boot: [{name: a}]}", "/oem/2.yaml": "stages: {boot: [{name: b}]}"})
    assert config.settings.data == {"stages": {"boot": [{"name": "a"}, {"name": "b"}]}}


def test_scalars_keep_their_written_form() -> None:
    text = 'a: 0644\nb: "012345"\nc: 1.10\nd: yes\ne: 2024-01-01\nf: |\n    one\n\n    two\ng: ""\nh: "a: b"\ni: "true"\nj: "x\\ty\\x1b"\nk:\n    - - 1\n'
    config = collect({"/oem/1.yaml": text})
    shown = dump(config.settings)
    for line in ("a: 0644", 'b: "012345"', "c: 1.10", "d: yes", "e: 2024-01-01", 'g: ""', 'h: "a: b"', 'i: "true"', 'j: "x\\ty\\x1b"'):
        assert f"{line}\n" in shown
    again = collect({"/oem/1.yaml": shown})
    assert again.settings.data == config.settings.data
    assert dump(again.settings) == shown


def test_a_document_that_cannot_be_read_costs_itself_only() -> None:
    config = collect({"/oem/1.yaml": "a: [", "/oem/2.yaml": "b: 1", "/oem/3.yaml": "- list", "/oem/4.yaml": "a: 1\na: 2"})
    assert config.settings.data == {"b": 1}
    assert [p.where.split(":")[0] for p in config.problems] == ["/oem/1.yaml", "/oem/3.yaml", "/oem/4.yaml"]
    assert config.sources == ["/oem/2.yaml"]


def test_a_file_without_the_header_is_none_of_the_node() -> None:
    assert collect({"/oem/1.yaml": "a: 1"}, header=False).settings.data == {}


def test_config_url_overrides_its_own_document_and_not_a_later_one() -> None:
    config = collect({"/oem/1.yaml": "config_url: http://x/1?token=s3cret\na: 1\nb: 1\nc: 1", "/oem/2.yaml": "c: 3"},
                     web={"http://x/1?token=s3cret": "config_url: http://x/2\na: 2\nb: 2\nc: 2", "http://x/2": "b: 9"})
    assert config.settings.data == {"config_url": "http://x/2", "a": 2, "b": 2, "c": 3}
    assert not any("s3cret" in source for source in config.sources)


def test_config_url_ends_a_circle_and_a_long_chain() -> None:
    circle = collect({"/oem/1.yaml": "config_url: http://x/1"}, web={"http://x/1": "config_url: http://x/2", "http://x/2": "config_url: http://x/1"})
    assert "circle" in circle.problems[0].message
    chain = collect({"/oem/1.yaml": "config_url: http://x/1"}, web={f"http://x/{n}": f"config_url: http://x/{n + 1}" for n in range(1, 20)})
    assert "more than 5" in chain.problems[0].message


def test_a_failed_config_url_is_a_warning_that_names_it() -> None:
    config = collect({"/oem/1.yaml": "config_url: http://x/{{ .Values.Random }}\na: 1"})
    [problem] = config.problems
    assert problem.severity == "warning"
    assert "http://x/a+b" in problem.message
    assert problem.where.startswith("/oem/1.yaml:2:13")
    assert config.settings.data["a"] == 1


def test_origins_are_places_in_files() -> None:
    config = collect({"/oem/1.yaml": "install:\n  device: auto", "/oem/2.yaml": "install: {reboot: true}"})
    install = config.settings.value["install"].value
    assert install["device"].where == "/oem/1.yaml:3:11"
    assert install["reboot"].where == "/oem/2.yaml:2:19"


@pytest.mark.parametrize(("text", "settings"), [
    ("quiet install.auto=true install.device=/dev/vda", {"install": {"auto": True, "device": "/dev/vda"}}),
    ("k3s.enabled=true console=ttyS0 rd.cos.x=1", {}),
    ("kairos.config=k3s.enabled=true", {"k3s": {"enabled": "true"}}),
    ("kairos.config=a.b", {"a": {"b": "true"}}),
    ("kairos.config_url=http://x/y?a=b", {"config_url": "http://x/y?a=b"}),
    ("cos.setup=http://x/y?a=b", {"config_url": "http://x/y?a=b"}),
    ("cos.setup=a.b=c", {"a": {"b": "c"}}),
    ("debug install.auto", {"debug": True, "install": {"auto": True}}),
    ("install.bind_mounts[0]=/a install.bind_mounts[1]=/b", {"install": {"bind_mounts": ["/a", "/b"]}}),
    ("install=1 install.auto=true", {"install": {"auto": True}}),
    ("install.size=010", {"install": {"size": "010"}}),
])
def test_words_of_the_kernel_command_line(text: str, settings: object) -> None:
    assert from_cmdline(text).data == settings


def test_aliases_cannot_make_more_values_than_memory_holds() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    assert "aliases" in collect({"/oem/1.yaml": bomb}).problems[0].message


def test_words_of_an_option_are_placed_in_that_option() -> None:
    """`install --disk-image --set KEY=VALUE` reads no kernel command line."""
    found = from_cmdline("install.device=/dev/x kairos.config=install.auto=true", "--set").value["install"].value
    assert [found[name].where for name in ("device", "auto")] == ["--set install.device", "--set kairos.config"]
