"""Password fields: the published vectors of SHA-crypt, and what counts as a password that is there already."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.system.passwords import field, hashed, is_field, plain, verify

LONG = "a very much longer text to encrypt.  This one even stretches over morethan one line."
VECTORS = [  # of the specification's own test program: bits, salt, rounds, password, result
    (512, "saltstring", 5000, "Hello world!", "svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"),
    (512, "saltstringsaltstring", 10000, "Hello world!", "OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."),
    (512, "toolongsaltstring", 5000, "This is just a test", "lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0"),
    (512, "anotherlongsaltstring", 1400, LONG, "POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1"),
    (512, "asaltof16chars..", 123456, "a short string", "BtCwjqMJGx5hrJhZywWvt0RLE8uZ4oPwcelCjmw2kSYu.Ec6ycULevoBK25fs2xXgMNrCzIMVcgEJAstJeonj1"),
    (512, "roundstoolow", 1000, "the minimum number is still observed",
     "kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX."),
    (256, "saltstring", 5000, "Hello world!", "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    (256, "saltstringsaltstring", 10000, "Hello world!", "3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"),
    (256, "toolongsaltstring", 5000, "This is just a test", "Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5"),
]


@pytest.mark.parametrize(("bits", "salt", "rounds", "password", "result"), VECTORS)
def test_the_published_vectors(bits: int, salt: str, rounds: int, password: str, result: str) -> None:
    """Salts of any length, more and fewer rounds, short and long passwords."""
    assert verify(password, f"${6 if bits == 512 else 5}$rounds={rounds}${salt[:16]}${result}")


@pytest.mark.parametrize("password", ["", "a", "x" * 63, "y" * 64, "z" * 65, "pässwörd", "with:colon", "\udcff"])
def test_a_new_hash_verifies_and_is_never_the_same(password: str) -> None:
    """The salt is fresh each time; another password does not fit."""
    one, two = hashed(password), hashed(password)
    assert one != two
    assert verify(password, one)
    assert verify(password, two)
    assert not verify(password + "1", one)


@pytest.mark.parametrize("stored", ["", "x", "!", "*", "!$6$a$b", "$6$", "$6$salt", "$6$a$b$c$d", "$9$salt$hash", "$6$rounds=99999999999$a$b", "plain"])
def test_what_is_no_hash_of_it_fits_no_password(stored: str) -> None:
    """Damaged, locked and unknown fields, and one that would take hours, are no match and no crash."""
    assert not verify("plain", stored)


def test_a_stored_hash_with_its_own_rounds_is_kept() -> None:
    """Whoever hashed it chose the rounds: the password fits, so it stays (C7)."""
    stored = f"$6$rounds=5000$saltstring${VECTORS[0][4]}"
    assert field("Hello world!", stored) == stored
    assert field("apricot", stored) != stored


@pytest.mark.parametrize("given", ["$6$s$h", "!", "!$6$s$h", "*", "$5$x"])
def test_hashes_and_marks_are_kept_as_they_stand(given: str) -> None:
    """A text beginning with $ or !, and *, is a field, not a password (docs/reference/users.md)."""
    assert is_field(given)
    assert field(given, "$6$other$hash") == given


def test_hashing_opens_no_library_once_it_was_asked_for() -> None:
    """A stage in a chroot hashes with what was loaded before: neither a module nor a library of another system."""
    code = ("import sys, os; from kairos_boot.actions import accounts; from kairos_boot.system.passwords import hashed, library, verify\n"
            "library()\nbefore, opened = set(sys.modules), []\nsys.addaudithook(lambda event, args: opened.append(args) if event in ('ctypes.dlopen', 'open') else None)\n"
            "assert verify('x', hashed('x'))\nassert not opened, opened\n"
            "new = {name for name in set(sys.modules) - before if getattr(sys.modules[name], '__file__', None)}\nassert not new, new")
    subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {os.getcwd()!r})\n{code}"], check=True)


@pytest.mark.parametrize("password", ["!Summer2024", "$ecret", "*", "$6$salt$hash", ""])
def test_a_plain_text_is_hashed_whatever_it_begins_with(password: str) -> None:
    """B12: a mark of shadow in a password is a character like any other, and the hash stays in the next run."""
    stored = plain(password, "!")
    assert stored.startswith("$6$")
    assert stored != password
    assert plain(password, stored) == stored


@pytest.mark.parametrize("password", ["x" * 512, "a\0b"])
def test_what_libcrypt_cannot_hash_is_an_error(password: str) -> None:
    """Never a shortened password, and never the password in the message (C5)."""
    with pytest.raises(KairosError) as caught:
        hashed(password)
    assert password not in str(caught.value)


def test_a_plain_star_word_is_a_password() -> None:
    """Only * alone is a mark."""
    assert not is_field("*x")
    assert verify("*x", field("*x", ""))
