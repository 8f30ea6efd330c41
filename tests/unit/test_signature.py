"""A signature that the configuration asks for is checked, by install and upgrade alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.signature import phase, verify
from kairos_boot.lifecycle.sources import IMAGE, Named, Source
from kairos_boot.node.config import settings_of
from kairos_boot.node.sections import understood
from kairos_boot.system.host import Host
from kairos_boot.system.oci import Image

INDEX, INNER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
SOURCE = Source("/x", True, 1, Named(IMAGE, "r.example/os:1"), INNER, arrived=False, image=Image(INNER, (), INDEX), insecure=True)


class Cosign:
    """Knows a signature of one digest."""

    def __init__(self, signed: str) -> None:
        self.signed, self.calls = signed, []  # type: ignore[var-annotated]

    def run(self, words: tuple[str, ...], **_: Any) -> Any:
        """It is signed, or not."""
        self.calls.append(words)
        return SimpleNamespace(code=int(not words[-1].endswith(self.signed)), timed_out=False, output="no", explain=lambda _: "code 1")


@pytest.mark.parametrize("signed", [INDEX, INNER])
def test_a_signature_of_the_list_of_images_or_of_the_image_will_do(signed: str) -> None:
    cosign = Cosign(signed)
    phase(SOURCE, {"cosign": True}).actions[0].apply(SimpleNamespace(processes=cosign))  # type: ignore[arg-type]
    assert "--allow-insecure-registry" in cosign.calls[0]


def test_an_image_without_a_signature_is_refused() -> None:
    with pytest.raises(KairosError):
        phase(SOURCE, {}).actions[0].apply(SimpleNamespace(processes=Cosign("none")))  # type: ignore[arg-type]


def test_an_upgrade_refuses_a_source_that_cannot_be_signed() -> None:
    """Silently unsigned is worse than no upgrade: cosign is missing here, or the source is no image."""
    config = settings_of(b'#cloud-config\ncosign: "true"\n', "/d.yaml")
    with pytest.raises(KairosError):
        verify(Host("/"), understood(config.settings, "upgrade"), Source("/x", True, 1, Named("dir", "/x")))
