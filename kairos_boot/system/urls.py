"""Addresses: where they lead, and which proxy the environment names for them."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def absolute(base: str, location: str) -> str:
    """Where *location* leads from *base*. KairosError: from https to an address that is not protected."""
    from urllib.parse import quote, urljoin

    target = urljoin(base, quote(location, safe="%/:=&?~#+!$,;'@()*[]"))
    if base.lower().startswith("https:") and not target.lower().startswith("https:"):
        raise KairosError(f"{shown(base)}: redirects from https to {shown(target)}, which is not protected")
    return target


def origin(url: str) -> tuple[str, str]:
    """Scheme and host with its port: who a password in *url* is meant for."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()


def basic(user: str | None, password: str | None) -> str:
    """The value of an Authorization header; both parts as they stand in an address."""
    from binascii import b2a_base64
    from urllib.parse import unquote

    return "Basic " + b2a_base64(f"{unquote(user or '')}:{unquote(password or '')}".encode(), newline=False).decode()


def proxy_for(scheme: str, host: str, port: int, environment: Mapping[str, str] | None = None) -> str:
    """The proxy that *environment*, that of this process, names for *host*, or nothing; this machine itself never goes through one."""
    environment = os.environ if environment is None else environment
    named = environment.get(f"{scheme}_proxy") or (environment.get(f"{scheme.upper()}_PROXY") if "REQUEST_METHOD" not in environment else "")
    if not named or host == "localhost" or host.startswith("127.") or host == "::1":
        return ""
    host = host.lower().rstrip(".")
    for word in (environment.get("no_proxy") or environment.get("NO_PROXY") or "").replace(",", " ").lower().split():
        name, _, only = word.partition(":") if word.count(":") == 1 else (word, "", "")
        if (only and only != str(port)) or not name:
            continue
        name = name.removeprefix("*")
        if name == "" or host == name.removeprefix(".") or host.endswith(name if name.startswith(".") else f".{name}") or _in_network(host, name):
            return ""
    return named


def _in_network(host: str, network: str) -> bool:
    if "/" not in network or not (host[:1].isdigit() or ":" in host):
        return False
    from ipaddress import ip_address, ip_network

    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
