"""Documents nobody would write: generated from the model, and real ones with damage. `make fuzz` runs 200 000 of them.

    fuzz/documents.py [--count N] [--seed N]

Each is loaded, ordered, planned and, below a throw-away root with a process runner that runs nothing, applied. It must not
raise, must not hang, and must not write outside its root.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from kairos_boot.cloudconfig import model  # noqa: E402
from kairos_boot.cloudconfig.decode import decode  # noqa: E402
from kairos_boot.errors import KairosError  # noqa: E402
from kairos_boot.facts import Facts  # noqa: E402
from kairos_boot.stages.conditions import decide  # noqa: E402
from kairos_boot.stages.graph import order  # noqa: E402
from kairos_boot.stages.planning import Planned  # noqa: E402
from kairos_boot.system.host import Host  # noqa: E402
from kairos_boot.system.process import Result  # noqa: E402

HANG = 20
"""Seconds after which a document counts as hanging."""
SCALARS = ["", "~", "null", "true", "'true'", "yes", "No", "0644", "'0644'", "0o755", "644", "08", "0x1f", "1e3", "1.5", "-1", "99999999999999999999",
           "2001-01-01", "12:30:45", "<<", "=", ".inf", "{{ .Values.node.hostname }}", '"{{ .Values.nope }}"', "'{{'", '"{{ range 5 }}x{{ end }}"', "*a", "&a x", "!!int 5",
           "!foo bar", "!!binary aGk=", "|\n  text\n  more", "/srv/f", "/../../outside/f", "/link/f", "/up/f", "/loop/f", "relative/f", '"\\0"', '"\\uD800"', "'a\tb'", "90s", "5m", "once",
           "stop-step", "root", "keeper:staff", "github:x", "ssh-rsa AAAA a", "net.ipv4.ip_forward", "a b", "..", "b64", "gz+b64", "'{kind: user, username: a}'",
           "'{kind: group, group_name: g, gid: -1}'", "[]", "{}", "[~]", "x" * 300]
PIECES = ["\n", "  ", "- ", ": ", "? ", "[", "]", "{", "}", ",", "&a ", "*a", "<<: *a\n", "#", "|", ">", "'", '"', "%YAML 1.2\n", "---\n", "...\n", "\t", "\r", "\0", "\x85", "\ufeff",
          "#cloud-config\n", "stages:\n", "after: [{name: x}]\n", "{{", "}}", "!!map", "\x7f", "é", "\U0001f600"]
CLASSIC = ["users", "groups", "ssh_authorized_keys", "write_files", "runcmd", "bootcmd", "hostname", "fqdn", "ntp", "packages", "growpart", "timezone", "disk_setup", "chpasswd"]


class Nothing:
    """Runs nothing, with any result."""

    def run(self, argv: Sequence[str], **_: Any) -> Result:
        """Answer at random."""
        return Result(random.choice((0, 0, 0, 1, -9)), random.choice(("", "x\n")))


def records() -> dict[str, dict[str, str]]:
    """Every record of the model: its keys and their annotations."""
    return {name: {model.KEY_NAMES.get(f, f): cls.__annotations__[f] for f in cls.__match_args__ if f not in model.LOADER_FIELDS}
            for name, cls in vars(model).items() if isinstance(cls, type) and hasattr(cls, "__match_args__")}


WELL = {"int": ["0", "7", "0x10"], "bool": ["true", "no", "'true'"], "Mode": ["0644", "'0600'", "04755", "0"], "Size": ["0", "20"], "Seconds": ["0", "3", "90s"],
        "Frequency": ["once", "on-change"], "OnFailure": ["stop-step", "continue"]}


def typed(kind: str, known: dict[str, dict[str, str]], key: str = "") -> str:
    """A value of the annotation *kind* in flow style; one in forty is something else."""
    kind = kind.removesuffix(" | None")
    if random.random() < 0.025:
        return random.choice(SCALARS).replace("\n", " ")
    if kind.startswith("tuple["):
        return "[" + ", ".join(typed(kind[6:-6], known, key) for _ in range(random.randrange(4))) + "]"
    if kind.startswith("Mapping["):
        names = random.sample(["any", "all", "none", "root", "keeper", "ada", "net.ipv4.ip_forward", "A", "NTP", "keymap", "kein name"], random.randrange(4))
        return "{" + ", ".join(f"{name}: {typed(kind[13:-1], known, key)}" for name in names) + "}"
    if kind in known:
        keys = random.sample(list(known[kind]), random.randrange(1, len(known[kind]) + 1))
        return "{" + ", ".join(f"{name}: {typed(known[kind][name], known, name)}" for name in keys) + "}"
    if kind in WELL:
        return random.choice(WELL[kind])
    if key == "path":
        return random.choice(["/srv/f", "/srv/d/e/f", "/link/f", "/up/f", "/loop/f", "/../../outside/f", "relative", "/etc/passwd", "/etc", "''"])
    if key == "entity":
        return random.choice(["'{kind: user, username: a, uid: -1, group: staff}'", "'{kind: group, group_name: g, gid: -1}'", "'{kind: shadow, username: a, password: p}'", "'{kind: x}'", "'['"])
    return "'" + random.choice(SCALARS).replace("'", "").replace("\n", " ") + "'"


def generated(known: dict[str, dict[str, str]]) -> str:
    """A document of the schema's shape."""
    lines = [random.choice(["", "#cloud-config", "name: N", "jobs: 2", "# comment"])]
    if random.random() < 0.3:
        lines += [f"{key}: {random.choice(SCALARS)}".replace("\n", " ") for key in random.sample(CLASSIC, random.randrange(3))]
    lines.append("stages:")
    for stage in random.sample(["s", "boot", "network", "initramfs", "s.before"], random.randrange(1, 4)):
        lines.append(f"  {stage}:")
        for _ in range(random.randrange(1, 5)):
            keys = random.sample(list(known["Step"]), random.randrange(1, 5))
            lines += [f"  {'- ' if i == 0 else '  '}{key}: {typed(known['Step'][key], known, key)}" for i, key in enumerate(keys)]
    return "\n".join(lines) + "\n"


def damaged(text: str) -> str:
    """*text* with a few wounds."""
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        at, to = sorted(random.randrange(len(text) + 1) for _ in range(2))
        to = min(to, at + random.randrange(60))
        wound = random.randrange(5)
        if wound == 0:
            text = text[:at] + text[to:]
        elif wound == 1:
            text = text[:at] + random.choice(PIECES) + text[at:]
        elif wound == 2:
            text = text[:at] + random.choice(SCALARS) + text[to:]
        elif wound == 3:
            text = text[:at] + text[at:to] * random.randrange(1, 4) + text[to:]
        else:
            text = text[:at] + chr(random.randrange(0x250)) + text[at + 1:]
    return text


def texts() -> list[str]:
    """Real documents: the defaults of this project, and published ones where they are."""
    folders = [TOP / "packaging/image/oem", TOP.parent / "shared/corpus"]
    return [file.read_text() for folder in folders if folder.is_dir() for file in sorted(folder.rglob("*.yaml"))]


def make_root(top: Path) -> tuple[Host, Path]:
    """A root with accounts and links that lead out of it, and the directory beside it that nobody may touch."""
    root, outside = top / "root", top / "outside"
    for folder in (root / "etc", root / "srv", root / "home", root / "proc/sys/net/ipv4", outside):
        folder.mkdir(parents=True)
    (outside / "f").write_text("untouched")
    (root / "link").symlink_to(outside)
    (root / "up").symlink_to("../outside")
    (root / "loop").symlink_to("loop")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nkeeper:x:1200:1200::/home/keeper:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nstaff:x:50:keeper\nkeeper:x:1200:\n")
    (root / "etc/shadow").write_text("root:*:19000:0:99999:7:::\nkeeper:*:19000:0:99999:7:::\n")
    return Host(str(root), Nothing(), online=False), outside


OFFLINE = ("downloads", "datasource", "git", "unpack_images", "layout", "authorized_keys")
"""Keys that are planned and not applied: they ask a network or a disk."""


def treat(data: bytes, host: Host) -> None:
    """Everything that a run does with a document."""
    document = decode(data, "/oem/fuzz.yaml")
    for problem in document.problems:
        str(problem)
    if document.broken:
        return
    facts = Facts(lambda: {"node": {"hostname": "h"}}, dict, host.read)
    for stage in document.stages:
        for layer in order([document], stage).layers:
            for node in layer:
                decide(node.step, host, facts)
                plan = Planned(node.step, facts)
                for key, action in plan:
                    if isinstance(action, KairosError):
                        str(action)
                        continue
                    action.describe()
                    try:
                        if key not in OFFLINE:
                            action.would_change(host)
                            plan.heard = action.apply(host)
                    except KairosError as error:
                        str(error)


def cases(count: int) -> Iterator[bytes]:
    """*count* documents, two thirds of them generated."""
    known, real = records(), texts()
    for number in range(count):
        text = damaged(random.choice(real)) if number % 3 == 0 else generated(known)
        if number % 7 == 0:
            text = damaged(text)
        yield text.encode("utf-8", "surrogatepass")


def run(count: int, seed: int) -> list[str]:
    """Treat *count* documents and return what went wrong."""
    random.seed(seed)
    wrong = []

    def hang(number: int, frame: Any) -> None:
        raise TimeoutError(f"more than {HANG} s")

    signal.signal(signal.SIGALRM, hang)
    with tempfile.TemporaryDirectory() as scratch:
        host, outside = make_root(Path(scratch))
        for number, data in enumerate(cases(count)):
            signal.alarm(HANG)
            try:
                treat(data, host)
            except Exception as error:  # noqa: BLE001
                wrong.append(f"document {number} of seed {seed}: {type(error).__name__}: {error}\n{data!r}")
            finally:
                signal.alarm(0)
            if os.listdir(outside) != ["f"] or (outside / "f").read_text() != "untouched" or len(os.listdir(scratch)) != 2:
                wrong.append(f"document {number} of seed {seed} wrote outside its root\n{data!r}")
                break
            if len(wrong) > 20:
                break
    return wrong


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    start = time.monotonic()
    wrong = run(given.count, given.seed)
    print("\n\n".join(wrong))
    print(f"{given.count} documents, {len(wrong)} wrong, {time.monotonic() - start:.0f} s (fuzz/documents.py --count {given.count} --seed {given.seed})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
