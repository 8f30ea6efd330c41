"""MAAS: where its service is and how to sign a request stands in a file of the node or at the kernel's `cloud-config-url=` (docs/reference/datasource.md)."""

from __future__ import annotations

import os
import time

from kairos_boot.actions.datasource_found import AbsentError
from kairos_boot.errors import KairosError
from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.actions.datasource_found import Found, Session

CONFIGURATION = "/oem/maas/datasource.yaml"
PRESEED = "cloud-config-url="
PRESEED_LIMIT = 30.0
"""Seconds that the document of the kernel command line may take."""
VERSION = "2012-03-01"


class NotToldError(AbsentError):
    """Nothing says that this node is one of MAAS."""


@record
class Service:
    """A region controller and this node's keys to it."""

    url: str
    consumer_key: str
    consumer_secret: str
    token_key: str
    token_secret: str

    def headers(self) -> dict[str, str]:
        """The signature of one request (OAuth 1.0, PLAINTEXT), which is good once."""
        from urllib.parse import quote

        def encoded(text: str) -> str:
            return quote(text, safe="~")

        values = {"oauth_consumer_key": encoded(self.consumer_key), "oauth_token": encoded(self.token_key),
                  "oauth_signature_method": "PLAINTEXT",
                  "oauth_signature": f"{encoded(self.consumer_secret)}%26{encoded(self.token_secret)}",
                  "oauth_nonce": os.urandom(16).hex(), "oauth_timestamp": str(int(time.time())), "oauth_version": "1.0"}
        return {"Authorization": "OAuth " + ", ".join(f'{key}="{value}"' for key, value in values.items())}


def maas(found: Found, session: Session) -> None:
    """Ask the service that this node is told of: on a network it must answer."""
    try:
        service = _service(session)
        base = f"{service.url.rstrip('/')}/{VERSION}/"
        hostname = session.get(base + "meta-data/local-hostname", service.headers())
        instance = session.get(base + "meta-data/instance-id", service.headers())
    except NotToldError:
        raise
    except AbsentError as error:
        raise (KairosError if session.has_route else AbsentError)(error.message) from None
    found.take_hostname(hostname)
    found.files["instance_id"] = instance
    session.userdata(found, base + "user-data", service.headers())
    found.take_keys([session.optional(found, base + "meta-data/public-keys", "", service.headers())])


def _service(session: Session) -> Service:
    """What the file says, else the document of the kernel command line. NotToldError: neither. KairosError: it is incomplete."""
    raw = session.host.read(CONFIGURATION)
    if raw is None:
        words = (session.host.read("/proc/cmdline") or b"").decode("utf-8", "replace").split()
        address = next((word.removeprefix(PRESEED) for word in reversed(words) if word.startswith(PRESEED)), "")
        if not address:
            raise NotToldError(f"neither {CONFIGURATION} nor {PRESEED}… on the kernel command line")
        raw = session.get(address, longest=PRESEED_LIMIT)
    from kairos_boot.system.plainyaml import load

    document = load(raw)
    block: object = document
    for name in ("datasource", "MAAS"):
        block = block.get(name) if isinstance(block, dict) else None
    if not isinstance(block, dict):
        raise KairosError("its configuration has no block datasource: {MAAS: …}")
    values = {key: block.get(key, "") for key in ("metadata_url", "consumer_key", "consumer_secret", "token_key", "token_secret")}
    missing = [key for key in ("metadata_url", "consumer_key", "token_key") if not values[key]]
    if missing or not all(isinstance(value, str) for value in values.values()):
        raise KairosError(f"its configuration lacks {', '.join(missing) or 'plain text values'}")
    return Service(*map(str, values.values()))
