"""The password of an account that is there: `chpasswd` of a #cloud-config document (B12)."""

from __future__ import annotations

from kairos_boot.actions.accounts import set_password, today
from kairos_boot.errors import KairosError
from kairos_boot.records import record
from kairos_boot.system.accounts import Accounts, find_account, read_table
from kairos_boot.system.host import Host
from kairos_boot.system.passwords import field, plain


@record
class SetPassword:
    """The account *name* has this password; *plain* text is hashed whatever it begins with."""

    name: str
    password: str
    plain: bool = False
    expire: bool = False
    """A password that is new has to be replaced at the first login."""
    where: str = ""

    def __repr__(self) -> str:
        """No password."""
        return f"SetPassword({self.name!r})"

    @property
    def subject(self) -> str:
        return f"password of {self.name}"

    def describe(self) -> str:
        """The account; no password."""
        return f"set the password of {self.name}" + (", to be replaced at the first login" if self.expire else "")

    def would_change(self, host: Host) -> bool | None:
        """Whether it has another one; None where the account is not there, since an earlier step of a plan may make it."""
        account = read_table(host, "user").fields(self.name)
        if account is None:
            return None
        line = read_table(host, "shadow").fields(self.name)
        return line is None or account[1] != "x" or self._field(line[1]) != line[1]

    def _field(self, stored: str) -> str:
        return plain(self.password, stored) if self.plain else field(self.password, stored)

    def apply(self, host: Host) -> bool:
        """Set it. KairosError: there is no such account, or a file is missing."""
        try:
            find_account(host, self.name)
            if not self.would_change(host):
                return False
            with Accounts(host) as accounts:
                set_password(accounts, self.name, self._field, "0" if self.expire else today(host))
                return accounts.save()
        except KairosError as error:
            raise KairosError(f"password of {self.name}: {error.message}", self.where, error.hint) from error
