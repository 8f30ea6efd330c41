"""The environment that commands get: the caller's without what steers programs, with what a login would set (C10)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULTS = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
PREFIXES = (
    "LD_", "_RLD", "MALLOC_", "GLIBC_",  # the loader and the C library
    "GIT_", "SSH_ASKPASS",  # which repository git works on, and what it runs
    "BASH_FUNC_", "PYTHON", "PERL", "RUBY", "NODE_", "LUA_", "JAVA_TOOL_", "_JAVA_", "JDK_JAVA_",  # code put into shells and interpreters
    "SYSTEMD_", "LISTEN_", "WATCHDOG_",  # what systemd's tools work on; sockets and duties of the caller's own unit
)
NAMES = frozenset((
    "BASH_ENV", "ENV", "IFS", "SHELLOPTS", "BASHOPTS", "PS4", "CDPATH", "GLOBIGNORE", "FPATH", "ZDOTDIR", "NULLCMD", "READNULLCMD", "POSIXLY_CORRECT",
    "GCONV_PATH", "GETCONF_DIR", "HOSTALIASES", "LOCALDOMAIN", "LOCPATH", "NIS_PATH", "NLSPATH", "PATH_LOCALE", "RESOLV_HOST_CONF", "RES_OPTIONS", "TZDIR",
    "TAR_OPTIONS", "GZIP", "BZIP", "BZIP2", "XZ_OPT", "XZ_DEFAULTS", "ZSTD_CLEVEL", "GREP_OPTIONS", "LS_OPTIONS", "CURL_HOME", "WGETRC", "OPENSSL_CONF",
    "SSLKEYLOGFILE", "MODPROBE_OPTIONS", "MKE2FS_CONFIG", "E2FSCK_CONFIG", "BLKID_FILE", "LIBMOUNT_FSTAB", "DPKG_ROOT", "DPKG_ADMINDIR", "APT_CONFIG",
    "TERMINFO", "TERMINFO_DIRS", "TERMCAP", "TERMPATH", "LESSOPEN", "LESSCLOSE", "NOTIFY_SOCKET", "NOTIFYACCESS", "MAINPID", "MANAGERPID",
))
"""What a set-uid program ignores (glibc), what sudo takes away, and options that tools read from variables. Proxies, certificates,
TMPDIR and TZ stay: they say where a node is, not what a program does."""


def for_commands(environment: Mapping[str, str]) -> dict[str, str]:
    """*environment* as a command gets it. A value that begins with `()` is a function of an old shell."""
    kept = {name: value for name, value in environment.items()
            if name not in NAMES and not name.startswith(PREFIXES) and not value.startswith("()")}
    for name, value in DEFAULTS.items():
        kept.setdefault(name, value)
    kept.setdefault("HOME", "/" if os.geteuid() else "/root")
    return kept
