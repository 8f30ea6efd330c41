"""git: one repository, cloned or updated (docs/reference/git.md)."""

from __future__ import annotations

from kairos_boot.actions.base import Invalid
from kairos_boot.actions.git import Access, CheckOut, is_key_type
from kairos_boot.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.modules import Plan

KEY = "git"


def plan(step: Step, facts: Facts) -> Plan:  # noqa: ARG001
    """Yield the one check-out; without a URL nothing is meant."""
    git = step.git
    if not git.url:
        return
    url, user, password = without_password(git.url)
    public = git.auth.public_key.strip()
    if not git.path.startswith("/"):
        yield Invalid(step.where(KEY, "path"), f"not an absolute path: {git.path!r}", "begin it with /")
    elif url.startswith("-") or url.split() != [url]:
        yield Invalid(step.where(KEY, "url"), f"not the URL of a repository: {shown(url)!r}")
    elif url.startswith("http") and "@" in url and "@" not in shown(url).partition("?")[0] and "@" in url.partition("?")[0]:
        yield Invalid(step.where(KEY, "url"), "the login in the address has a character that ends a login", "write %2F for / in it, or give it in auth")
    elif url.startswith("http") and "?" in url:
        yield Invalid(step.where(KEY, "url"), "the address of a repository has no query: git would write it into files and arguments",
                      "give a token as auth.password")
    elif git.branch.startswith("-") or len(git.branch.split()) > 1 or set(git.branch) & set("~^:?*[\\"):
        yield Invalid(step.where(KEY, "branch"), f"not the name of a branch: {git.branch!r}")
    elif public and not any(map(is_key_type, public.split()[:2])):
        yield Invalid(step.where(KEY, "auth", "public_key"), "not a public key of the server", "write it like ssh-ed25519 AAAA… or as a line of known_hosts")
    elif len(git.auth.username.split()) > 1 or git.auth.username.startswith("-"):
        yield Invalid(step.where(KEY, "auth", "username"), "not a user's name")
    else:
        access = Access(git.auth.username or user, git.auth.password or password, git.auth.private_key, public, git.auth.insecure)
        yield CheckOut(url, git.path.rstrip("/") or "/", git.branch, git.branch_only, access, step.limit(), step.retries, step.where(KEY))


def without_password(url: str) -> tuple[str, str, str]:
    """The URL without the password that it may hold, with its user and password: git would write them down."""
    scheme, separator, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    login, at, server = place.rpartition("@")
    user, colon, password = login.partition(":")
    if not separator or not at or not (colon or scheme.startswith("http")):
        return url, "", ""
    from urllib.parse import unquote

    keep = f"{user}@" if not scheme.startswith("http") else ""
    return f"{scheme}://{keep}{server}{slash}{path}", unquote(user), unquote(password)
