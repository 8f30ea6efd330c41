"""EFI variables over a plain directory: four bytes of attributes, UTF-16, what is written is read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.system import efi

if TYPE_CHECKING:
    from pathlib import Path


def put(directory: Path, name: str, body: bytes, owner: str = efi.LOADER) -> None:
    (directory / f"{name}-{owner}").write_bytes(efi.KEPT + body)


@pytest.mark.parametrize(("body", "text"), [
    ("active.conf\0".encode("utf-16-le"), "active.conf"), ("active.conf".encode("utf-16-le"), "active.conf"), (b"", ""), ("a\x01\nb\0rest\0".encode("utf-16-le"), "ab"),
    ("knoten-\u00e4.conf\0".encode("utf-16-le"), "knoten-\u00e4.conf"), (b"a\0b", "a\N{REPLACEMENT CHARACTER}"), (b"\0\xd8a\0", "\N{REPLACEMENT CHARACTER}a"),
])
def test_a_text_ends_at_its_first_nul_and_has_no_control_characters(tmp_path: Path, body: bytes, text: str) -> None:
    put(tmp_path, "LoaderEntrySelected", body)
    assert efi.text("LoaderEntrySelected", str(tmp_path)) == text


def test_a_list_has_a_nul_behind_each_text(tmp_path: Path) -> None:
    put(tmp_path, "LoaderEntries", "active.conf\0passive.conf\0".encode("utf-16-le"))
    assert efi.texts("LoaderEntries", str(tmp_path)) == ["active.conf", "passive.conf"]


@pytest.mark.parametrize("body", [None, b"", b"\x07\0"])
def test_what_is_missing_or_cut_off_is_nothing(tmp_path: Path, body: bytes | None) -> None:
    if body is not None:
        (tmp_path / f"LoaderInfo-{efi.LOADER}").write_bytes(body)
    assert (efi.text("LoaderInfo", str(tmp_path)), efi.texts("LoaderInfo", str(tmp_path)), efi.value("LoaderInfo", str(tmp_path))) == ("", [], b"")


@pytest.mark.parametrize(("body", "on"), [(b"\1", True), (b"\0", False), (None, False)])
def test_secure_boot_is_the_firmwares_word(tmp_path: Path, body: bytes | None, on: bool) -> None:
    if body is not None:
        put(tmp_path, "SecureBoot", body, efi.GLOBAL)
    assert efi.secure_boot(str(tmp_path)) is on


def test_what_is_written_has_attributes_and_a_nul_and_replaces_what_was_there(tmp_path: Path) -> None:
    for name in ("a-much-longer-name.conf", "active.conf"):
        efi.write("LoaderEntryOneShot", name, str(tmp_path))
        assert (tmp_path / f"LoaderEntryOneShot-{efi.LOADER}").read_bytes() == b"\7\0\0\0" + f"{name}\0".encode("utf-16-le")


def test_without_efi_nothing_is_written_and_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(KairosError, match="there are no EFI variables"):
        efi.write("LoaderEntryOneShot", "active.conf", str(tmp_path / "efivars"))
    assert list(tmp_path.iterdir()) == []


def test_a_firmware_that_does_not_keep_it_is_noticed(tmp_path: Path) -> None:
    (tmp_path / f"LoaderEntryOneShot-{efi.LOADER}").symlink_to("/dev/null")
    with pytest.raises(KairosError, match="did not keep"):
        efi.write("LoaderEntryOneShot", "active.conf", str(tmp_path))
