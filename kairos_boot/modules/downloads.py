"""downloads: files fetched over HTTP(S) (docs/reference/downloads.md, B4, B5, C1)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid
from kairos_boot.actions.download import METHODS, Download
from kairos_boot.actions.files import Owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig import model
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "downloads"


def plan(step: model.Step, facts: Facts) -> Plan:  # noqa: ARG001
    """Yield one download per item; its own time limit wins over the step's."""
    for index, item in enumerate(step.downloads):
        if not item.path.startswith("/"):
            yield Invalid(step.where(KEY, index, "path"), f"not an absolute path: {item.path!r}", "begin it with /")
        elif not item.url.lower().startswith(("http://", "https://")):
            scheme = item.url.partition(":")[0] if ":" in item.url else "such an address"
            yield Invalid(step.where(KEY, index, "url"), f"cannot download from {scheme}", "only http:// and https:// addresses can be fetched")
        elif item.checksum and not is_checksum(item.checksum):
            yield Invalid(step.where(KEY, index, "checksum"), "not a checksum", "write it like sha256: and 64 hexadecimal digits")
        elif item.timeout is not None and item.timeout < 0:
            yield Invalid(step.where(KEY, index, "timeout"), f"not a time limit: {item.timeout}", "give seconds, or 0 for none")
        else:
            timeout = item.timeout if item.timeout is not None else step.timeout
            yield Download(item.url, item.path, item.permissions, Owner.asked(item.ownerstring, item.owner, item.group), timeout, max(3, step.retries + 1), item.checksum, step.where(KEY, index))


def is_checksum(text: str) -> bool:
    """Whether *text* is a method that is known, a colon, and as many hexadecimal digits as it gives."""
    method, _, digits = text.partition(":")
    return len(digits) == METHODS.get(method, -1) and set(digits.lower()) <= set("0123456789abcdef")
