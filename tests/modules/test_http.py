"""The one way to the network: status, TLS, time and size are checked, secrets in addresses stay secret."""

from __future__ import annotations

import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.shown import shown
from kairos_boot.system.http import PAUSES, RequestOptions, fetch, request
from tests.modules.web import Reply, Web, closed_port, stopwatch

if TYPE_CHECKING:
    from pathlib import Path


def none(_seconds: float) -> None:
    """Do not wait."""


def test_a_page(web: Web) -> None:
    """Its bytes as they are, with the header that names us and without compression."""
    web.pages["/a b?x=1&y=%20"] = Reply(b"never asked so")
    web.pages["/a%20b?x=1&y=%20"] = Reply(b"\x00\xffbody")
    assert fetch(web.url("/a b?x=1&y=%20")) == b"\x00\xffbody"
    [(_, headers)] = web.requests
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"].startswith("kairos-boot")


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_refusal_is_an_error_at_once(web: Web, status: int) -> None:
    """B5: an error body is never given out; asking again is useless."""
    web.pages["/x"] = Reply(b"ssh-rsa EVIL", status)
    with pytest.raises(KairosError, match=str(status)):
        fetch(web.url("/x"), pause=none)
    assert web.paths == ["/x"]


def test_a_server_that_stumbles_is_asked_three_times(web: Web) -> None:
    """B4: a status of 500 or more is a failed try; the pauses grow."""
    web.pages["/x"] = [Reply(status=503), Reply(status=500), Reply(b"third")]
    waited: list[float] = []
    assert fetch(web.url("/x"), pause=waited.append) == b"third"
    assert waited == list(PAUSES)
    web.pages["/x"] = Reply(status=502)
    with pytest.raises(KairosError, match=r"502.*\(3 tries\)"):
        fetch(web.url("/x"), pause=none)
    assert len(web.paths) == 6


def test_nobody_there_is_tried_three_times() -> None:
    """B4: a transport failure is a failed try."""
    waited: list[float] = []
    with pytest.raises(KairosError, match=r"refused \(3 tries\)"):
        fetch(f"http://127.0.0.1:{closed_port()}/x", pause=waited.append)
    assert len(waited) == 2


@pytest.mark.parametrize("reply", [
    Reply(b"late", delay=60), Reply(b"x" * 600, drip=0.1), Reply(b"x" * 600, headers={"Content-Length": "", "Connection": "close"}, drip=0.1),
])
def test_the_time_limit_is_for_the_whole_try(web: Web, reply: Reply) -> None:
    """B4: a server that says nothing, and one that says a byte now and then."""
    web.pages["/slow"] = reply
    start = stopwatch()
    with pytest.raises(KairosError, match=r"no answer within 0\.5 s"):
        fetch(web.url("/slow"), timeout=0.5, tries=1)
    assert stopwatch() - start < 20


def test_an_answer_that_ends_early_is_a_failed_try(web: Web) -> None:
    """Half a document is never given out."""
    web.pages["/half"] = [Reply(b"0123456789", cut=4), Reply(b"0123456789")]
    assert fetch(web.url("/half"), pause=none) == b"0123456789"
    web.pages["/half"] = Reply(b"0123456789", cut=4)
    with pytest.raises(KairosError, match="too early"):
        fetch(web.url("/half"), pause=none)


@pytest.mark.parametrize("announced", ["", "5000"])
def test_the_size_is_limited(web: Web, announced: str) -> None:
    """B5: announced or not."""
    web.pages["/big"] = Reply(b"x" * 5000, headers={"Content-Length": announced, "Connection": "" if announced else "close"})
    with pytest.raises(KairosError, match="larger than 4999"):
        fetch(web.url("/big"), limit=4999)
    assert len(fetch(web.url("/big"), limit=5000)) == 5000


def test_redirects_are_followed(web: Web) -> None:
    """To relative and absolute places; the end is known."""
    web.pages.update({"/a": Reply(status=302, headers={"Location": "b/c"}), "/b/c": Reply(status=308, headers={"Location": web.url("/end")}), "/end": Reply(b"there")})
    answer, body = request(web.url("/a"))
    assert (answer.url, body) == (web.url("/end"), b"there")


@pytest.mark.parametrize(("location", "told"), [("/loop", "redirects"), ("file:///etc/passwd", "not an http"), ("ftp://127.0.0.1/x", "not an http")])
def test_redirects_that_lead_nowhere(web: Web, location: str, told: str) -> None:
    """A loop ends, another kind of address is not followed."""
    web.pages["/loop"] = Reply(status=301, headers={"Location": location})
    with pytest.raises(KairosError, match=told):
        fetch(web.url("/loop"), pause=none)


def test_a_password_is_sent_to_its_own_server_only(web: Web) -> None:
    """C5: neither to where that server redirects, nor into messages."""
    other = Web({"/x": Reply(b"ok")})
    try:
        web.pages["/x"] = Reply(status=302, headers={"Location": other.url("/x")})
        address = web.url("/x?token=sesame").replace("http://", "http://ada:tange%20rine@")
        web.pages["/x?token=sesame"] = web.pages["/x"]
        assert fetch(address) == b"ok"
        assert web.requests[0][1]["authorization"] == "Basic YWRhOnRhbmdlIHJpbmU="
        assert "authorization" not in other.requests[0][1]
        web.pages["/x?token=sesame"] = Reply(status=404)
        with pytest.raises(KairosError) as caught:
            fetch(address)
        assert not {word for word in ("ada", "tange", "sesame") if word in str(caught.value)}
    finally:
        other.close()


@pytest.mark.parametrize("name", ["Authorization", "authorization", "Cookie", "X-aws-ec2-metadata-token", "PRIVATE-TOKEN"])
def test_headers_of_a_caller_stay_with_the_host_that_they_are_for(web: Web, name: str) -> None:
    """C5: they go along to another path of it, never to another host, nor back again; which part is wanted is no secret."""
    other = Web()
    try:
        web.pages.update({"/a": Reply(status=307, headers={"Location": "/b"}), "/b": Reply(status=302, headers={"Location": other.url("/c")}), "/d": Reply(b"ok")})
        other.pages["/c"] = Reply(status=301, headers={"Location": web.url("/d")})
        assert fetch(web.url("/a"), headers={name: "sesame", "Range": "bytes=1-"}) == b"ok"
    finally:
        other.close()
    assert [headers.get(name.lower()) for _, headers in web.requests] == ["sesame", "sesame", None]
    assert [headers.get("range") for _, headers in (*web.requests, *other.requests)] == ["bytes=1-"] * 4
    assert "sesame" not in str(other.requests)


@pytest.mark.parametrize(("url", "text"), [
    ("https://u:p@host.example:8443/a/b?token=x#y", "https://host.example:8443/a/b"), ("http://host", "http://host"), ("http://u@host?x", "http://host"), ("mailto:x?y", "mailto:x"),
    ("http://u:p/w@host/x", "http://host/x"), ("http://u:p?w@host/x", "http://host/x"), ("http://u:p#w@host/x", "http://host/x"),
])
def test_what_people_see_of_an_address(url: str, text: str) -> None:
    """C5: no user, no password, no query, whatever is in them."""
    assert shown(url) == text


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/f", "file:///etc/passwd", "http://", "http://[::1", "http://host:port/", "https:///x", "nonsense", ""])
def test_other_addresses_are_refused(url: str) -> None:
    """Only http and https."""
    with pytest.raises(KairosError):
        fetch(url, pause=none)


def test_tls_is_verified(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C4: an unknown authority is an error at once; one that the node trusts is not; a wrong name is an error."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    web.server.socket = context.wrap_socket(web.server.socket, server_side=True)
    web.pages["/k"] = Reply(b"ssh-ed25519 AAAA one\n")
    url = f"https://localhost:{web.port}/k"
    waited: list[float] = []
    with pytest.raises(KairosError, match="TLS"):
        fetch(url, pause=waited.append)
    assert (waited, web.paths) == ([], [])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch(url) == b"ssh-ed25519 AAAA one\n"
    with pytest.raises(KairosError, match="TLS"):
        fetch(f"https://127.0.0.1:{web.port}/k")
    web.pages["/k"] = Reply(status=302, headers={"Location": f"http://localhost:{web.port}/k"})
    with pytest.raises(KairosError, match="not protected"):
        fetch(url)


@pytest.mark.parametrize(("url", "no_proxy", "through"), [
    ("http://keys.example/a?b", "", "http://keys.example:80/a?b"), ("https://keys.example/a", "", "CONNECT keys.example:443"),
    ("http://keys.example/a", "other.example", "http://keys.example:80/a"),
])
def test_the_proxy_of_the_environment(web: Web, url: str, no_proxy: str, through: str) -> None:
    """Plain requests are passed on, protected ones tunnelled, with the proxy's own password."""
    options = RequestOptions(environment={**dict.fromkeys(("http_proxy", "HTTPS_PROXY"), f"http://p:w@127.0.0.1:{web.port}"), "NO_PROXY": no_proxy})
    web.pages["http://keys.example:80/a?b"] = web.pages["http://keys.example:80/a"] = Reply(b"ok")
    if url.startswith("https"):
        with pytest.raises(KairosError, match="403"):
            request(url, tries=1, options=options)
        assert web.requests[0][1]["Proxy-Authorization"] == "Basic cDp3"
    else:
        assert request(url, options=options)[1] == b"ok"
    assert web.paths == [through]


@pytest.mark.parametrize("no_proxy", ["*", "127.0.0.1", "example,other", ".example", "keys.example:80", "10.0.0.0/8, keys.example"])
def test_addresses_without_a_proxy(no_proxy: str) -> None:
    """no_proxy names hosts, domains, ports and networks; this machine itself never goes through a proxy."""
    from kairos_boot.system.urls import proxy_for

    environment = {"http_proxy": "http://proxy.example:3128", "no_proxy": no_proxy}
    hosts = {"127.0.0.1": ("localhost", "127.0.0.1", "::1"), "10.0.0.0/8, keys.example": ("10.1.2.3", "keys.example")}.get(no_proxy, ("keys.example",))
    assert [proxy_for("http", host, 80, environment) for host in hosts] == [""] * len(hosts)
    assert no_proxy == "*" or proxy_for("http", "elsewhere.test", 80, environment)
