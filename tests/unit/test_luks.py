"""Keys of containers, and whether a TPM binds them to anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.encryption import RecoveryKey, ShowKey
from kairos_boot.errors import KairosError
from kairos_boot.system import luks
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path


def test_a_recovery_key_is_256_random_bits_in_the_form_of_systemds() -> None:
    """So systemd's prompt takes it in whatever way it is typed; the letters lie in the same place on all keyboards."""
    keys = {luks.new_key() for _ in range(20)}
    assert len(keys) == 20
    assert all(re.fullmatch(r"[cbdefghijklnrtuv]{8}(-[cbdefghijklnrtuv]{8}){7}", key) for key in keys)


def test_nothing_that_describes_a_key_shows_it() -> None:
    key = RecoveryKey()
    show = ShowKey(key, ("COS_OEM",), "/dev/vda")
    assert key.reveal() not in f"{key} {key!r} {show} {show!r} {show.describe()}"


@pytest.mark.parametrize(("value", "bound"), [("0" * 64, False), ("F" * 64, False), ("f" * 64, False), ("0" * 63 + "1", True), ("AB" * 32, True), (None, True)])
def test_a_register_that_no_firmware_wrote_to_binds_nothing_and_is_refused(tmp_path: Path, value: str | None, bound: bool) -> None:
    if value:
        path = tmp_path / luks.MEASURED[1:]
        path.parent.mkdir(parents=True)
        path.write_text(value + "\n")
    if bound:
        luks.must_measure(Host(str(tmp_path)))
        return
    with pytest.raises(KairosError, match="measures nothing into PCR 7"):
        luks.must_measure(Host(str(tmp_path)))
