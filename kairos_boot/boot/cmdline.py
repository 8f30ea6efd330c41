"""The kernel command line: tokens are compared whole, the last one wins (D4)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

STATE_SECONDS, DEVICE_SECONDS = 60.0, 30.0
"""How long the state partition, and how long the OEM and persistent partitions are waited for (D2)."""
CONSOLES = ("/dev/tty1", "/dev/ttyS0")
LIVE = ("LABEL", "CDLABEL", "UUID", "PARTUUID")
_OFF = ("0", "no", "off", "false")


def split(text: str) -> Iterator[str]:
    """The tokens as the kernel splits them: by white space, which double quotes protect; the quotes are not part of the token."""
    token, quoted, begun = "", False, False
    for char in text:
        if char == '"':
            quoted, begun = not quoted, True
        elif char.isspace() and not quoted:
            if begun:
                yield token
            token, begun = "", False
        else:
            token, begun = token + char, True
    if begun:
        yield token


class Cmdline:
    """The options of one boot."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.tokens = tuple(split(text))
        self.disabled = self.has("rd.cos.disable", "rd.immucore.disable", "rd.cos.disabled", "rd.immucore.disabled")
        """Whether the layout is left to somebody else."""
        self.root_mode = "rw" if self.has("rd.cos.debugrw", "rd.immucore.debugrw") else "ro"
        """`rw` is for who debugs an image."""
        self.image = self.value("cos-img/filename")
        """Its path inside its partition, or nothing."""
        kind, _, guid = self.value("kairos.state").partition("=")
        self.state_partuuid = guid.lower() if kind.upper() == "PARTUUID" else ""
        """The GUID of the partition that the image lies on, as the boot loader tells it (D9), or nothing."""
        self.oem_label = self.cos("oemlabel", "COS_OEM")
        self.oem_seconds = self.seconds("oemtimeout", DEVICE_SECONDS)
        self.overlay = self.cos("overlay", "tmpfs:20%")
        """What holds the ephemeral layer, unless the layout says so: `tmpfs:SIZE`, `LABEL=…` or `UUID=…`."""
        self.live_root = self._live_root()
        """What names the medium, where the root is a file on one: `CDLABEL=…`, `LABEL=…`, `UUID=…`, `PARTUUID=…` or `/dev/…`; else nothing."""
        self.mounts = self.values("rd.cos.mount") + self.values("rd.immucore.mount")
        """Further mounts `SPEC:PATH`."""
        named = [f"/dev/{value.partition(',')[0]}" for value in self.values("console")]
        self.consoles = list(dict.fromkeys([*(named or CONSOLES), "/dev/console"]))
        """What a fatal message goes to; options behind a comma are dropped."""

    @property
    def console_locked(self) -> bool:
        """Whether nobody gets a shell at the console (D12): the last `rd.shell` says no, as in our images."""
        return next((value in _OFF for key, eq, value in (token.partition("=") for token in reversed(self.tokens)) if key == "rd.shell"), False)

    def _live_root(self) -> str:
        """`root=live:…`, or that as a word of its own; what comes from a network is no medium."""
        words = [*self.values("root")[-1:], *self.tokens]
        return next((word[5:] for word in words if word.startswith("live:") and (word[5:].startswith("/dev/") or word[5:].partition("=")[0] in LIVE)), "")

    def has(self, *keys: str) -> bool:
        """Whether one of *keys* is there, alone or with a value that is not an off word (`0 no off false`)."""
        return any(key in keys and (not eq or value not in _OFF) for key, eq, value in (t.partition("=") for t in self.tokens))

    def values(self, key: str) -> list[str]:
        """Every value of *key* that is not empty, in order."""
        return [value for name, eq, value in (t.partition("=") for t in self.tokens) if name == key and eq and value]

    def value(self, *keys: str, default: str = "") -> str:
        """The last value of the first of *keys* that has one."""
        for key in keys:
            values = self.values(key)
            if values:
                return values[-1]
        return default

    def cos(self, name: str, default: str = "") -> str:
        return self.value(f"rd.immucore.{name}", f"rd.cos.{name}", default=default)

    def seconds(self, name: str, default: float) -> float:
        """A time limit of `rd.immucore.NAME` or `rd.cos.NAME`; what is no whole number of 0 or more is *default*."""
        for prefix in ("rd.immucore.", "rd.cos."):
            for value in reversed(self.values(prefix + name)):
                if value.isdecimal() and value.isascii():
                    return float(value)
        return default

    @property
    def fsck(self) -> tuple[str, ...]:
        """The flags of a file system check before a mount, or none at all."""
        mode, repair = self.value("fsck.mode"), self.value("fsck.repair")
        if mode == "skip":
            return ()
        flag = {"yes": "-y", "no": "-n"}.get(repair, "-p")
        return (flag, "-f") if mode == "force" else (flag,)
