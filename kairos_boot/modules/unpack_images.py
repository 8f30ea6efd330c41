"""unpack_images: the files of container images, laid over directories (docs/reference/unpack_images.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid, Note
from kairos_boot.actions.images import UnpackImage
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "unpack_images"
TRIES = 2
"""More tries after a failed one: it is the network (B4)."""


def plan(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    for index, item in enumerate(step.unpack_images):
        where = step.where(KEY, index)
        platform = item.platform.split("/") if item.platform else ["linux", "any"]
        if not item.source or not item.target:
            yield Note(where, f"an image without a {'target' if item.source else 'source'} is left out")
        elif not item.target.startswith("/"):
            yield Invalid(step.where(KEY, index, "target"), f"not an absolute path: {item.target!r}", "begin it with /")
        elif item.source.split() != [item.source] or item.source.startswith("-"):
            yield Invalid(step.where(KEY, index, "source"), f"not the name of an image: {shown(item.source)!r}", "write it like registry.example/tools:1")
        elif item.source.endswith(shown(item.source).removeprefix("docker://")) and item.source != shown(item.source):
            yield Invalid(step.where(KEY, index, "source"), "the name of an image has no login", "log in to the registry with skopeo login")
        elif not 2 <= len(platform) <= 3 or not all(platform):
            yield Invalid(step.where(KEY, index, "platform"), f"not a platform: {item.platform!r}", "write it like linux/arm64")
        else:
            yield UnpackImage(item.source, item.target.rstrip("/") or "/", item.platform, step.limit(), step.retries or TRIES, where)
