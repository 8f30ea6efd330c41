"""LUKS2 containers, made and opened by cryptsetup and sealed by systemd-cryptenroll. A key goes through standard input, never through an argument."""

from __future__ import annotations

import os
import uuid

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.system.host import Host

SECONDS = 120.0
"""How long one of the programs may take; a TPM is slow."""
PROGRAMS = ("cryptsetup", "systemd-cryptenroll")
PCRS = "7"
"""Whether Secure Boot is on, and whose keys it trusts: it stays the same over upgrades of a system, and of most firmware."""
MEASURED = f"/sys/class/tpm/tpm0/pcr-sha256/{PCRS}"
LETTERS = "cbdefghijklnrtuv"
"""One for four bits each: the letters that lie in the same place on keyboards of all countries."""
CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
"""A key of 256 random bits is not guessed, however fast a guess is; so opening costs no second and no memory of a small machine."""


def new_key() -> str:
    """256 random bits in the form of systemd's recovery keys: eight groups of eight letters."""
    text = "".join(LETTERS[byte >> 4] + LETTERS[byte & 15] for byte in os.urandom(32))
    return "-".join(text[at:at + 8] for at in range(0, 64, 8))


def make(host: Host, node: str, label: str, key: str) -> None:
    """A new container on *node*, found by *label* and by the identifier that Kairos gives it. KairosError: it cannot be made."""
    words = ("luksFormat", "-q", "--type", "luks2", *CHEAP, "--label", label, "--uuid", str(uuid.uuid5(uuid.NAMESPACE_URL, label)), "--key-file", "-", node)
    _run(host, ("cryptsetup", *words), node, key)


def seal(host: Host, node: str, key: str) -> None:
    """Let the TPM open *node*, too, as long as its registers PCRS say the same. KairosError: it refuses."""
    _run(host, ("systemd-cryptenroll", "--unlock-key-file=/dev/stdin", "--tpm2-device=auto", f"--tpm2-pcrs={PCRS}", node), node, key)


def attach(host: Host, node: str, name: str, key: str) -> str:
    """The device of the opened container. KairosError: it cannot be opened."""
    _run(host, ("cryptsetup", "open", "--type", "luks2", "--key-file", "-", node, name), node, key)
    return mapped(name)


def detach(host: Host, name: str) -> None:
    """Close it. KairosError: it is in use."""
    _run(host, ("cryptsetup", "close", name), mapped(name))


def mapped(name: str) -> str:
    """Where an opened container of that name is."""
    return f"/dev/mapper/{name}"


def must_have_tpm(host: Host) -> None:
    """KairosError: systemd knows of no TPM 2 here, or was built without."""
    words = ("systemd-cryptenroll", "--tpm2-device=list")
    result = host.processes.run(words, timeout=SECONDS, env={"LC_ALL": "C"})
    if result.code or "/dev/tpm" not in result.output:
        raise KairosError("this machine has no TPM 2 that can be used: nobody would open the partitions at a boot", " ".join(words),
                          f"it says: {result.output.strip() or result.explain(SECONDS)}; switch the TPM on in the firmware, or leave encrypted_partitions out")


def must_measure(host: Host) -> None:
    """KairosError: the firmware left the register PCRS as it was at power-on, so that binding a key to it binds it to nothing. An old kernel does not tell."""
    value = (host.read(MEASURED) or b"").strip().upper()
    if value and len(set(value)) == 1 and value[:1] in (b"0", b"F"):
        raise KairosError(f"the firmware of this machine measures nothing into PCR {PCRS}: the TPM would open the partitions for any system that is started here", MEASURED,
                          "update the firmware or switch its measuring on (UEFI), or leave encrypted_partitions out")


def _run(host: Host, words: Sequence[str], node: str, key: str = "") -> None:
    result = host.processes.run(words, timeout=SECONDS, env={"LC_ALL": "C"}, stdin=key.encode())
    if result.code:
        said = result.output.strip()
        raise KairosError(f"{' '.join(words)}: {result.explain(SECONDS)}: {said.replace(key, '…') if key else said}", node)
