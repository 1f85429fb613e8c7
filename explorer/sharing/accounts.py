"""Accounts: people for whom a login or a proxy vouches, and what their addresses may do.

A role is given to an address ("ada@museum.org"), to everybody of a domain ("@museum.org") or to everybody who can log
in ("*"). Whoever logs in is one person on every device; whoever logs in and was given nothing is nobody.
"""

import os
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from explorer.catalog.database import Catalog
from explorer.catalog.schema import new_id, people, roles
from explorer.errors import BadInput, NotFound
from explorer.sharing.access import ROLES, Grant, Person, Scope
from explorer.sharing.links import NAMED_MOST

_FRESH_SECONDS = 1.0
_REMEMBERED = 4_096
_ADDRESS = re.compile(r"[^@\s,<>]{1,64}@[^@\s,<>]{1,255}")
_PATTERN = re.compile(r"\*|@[^@\s,<>]{1,255}|" + _ADDRESS.pattern)


@dataclass(frozen=True)
class Account:
    """Who has logged in, as the login or the proxy says."""

    key: str
    """What stays the same when somebody's name or address changes."""
    address: str
    """In small letters; "" where nobody vouches for it."""
    name: str = ""


@dataclass(frozen=True)
class Role:
    """What everybody whose address fits the pattern may do. `created` is UTC seconds."""

    id: str
    pattern: str
    role: str
    scope: Scope
    created: float

    def fits(self, address: str) -> bool:
        """A domain is the whole of what stands behind the @: "@museum.org" lets in nobody of "@x.museum.org"."""
        if self.pattern == "*":
            return True
        _, at, domain = address.rpartition("@")
        return bool(at) and self.pattern in (address, at + domain)


def plain_address(text: str) -> str:
    """An e-mail address in small letters, or "" if that is none."""
    text = text.strip().lower()
    return text if text.isprintable() and _ADDRESS.fullmatch(text) else ""


def named_owners() -> frozenset[str]:
    """The addresses in EXPLORER_OWNERS (comma-separated), who own everything. Raises BadInput for what is none."""
    named = [part.strip() for part in os.environ.get("EXPLORER_OWNERS", "").split(",") if part.strip()]
    wrong = [part for part in named if not plain_address(part)]
    if wrong:
        raise BadInput(f"'{wrong[0]}' in EXPLORER_OWNERS is no address; write ada@museum.org,bob@museum.org.")
    return frozenset(plain_address(part) for part in named)


class AccountStore:
    """The roles of a catalogue and the people who logged in. Safe to use from several threads."""

    def __init__(self, catalog: Catalog, owners: Iterable[str] | None = None) -> None:
        self._catalog = catalog
        self._owners = named_owners() if owners is None else frozenset(owners)
        self._lock = threading.Lock()
        self._people: dict[Account, tuple[float, Person | None]] = {}

    def add(self, pattern: str, role: str, scope: Scope) -> Role:
        """Give a role to whoever fits the pattern; the same one again is the one that is there. Raises BadInput."""
        pattern = pattern.strip().lower()
        if not pattern.isprintable() or not _PATTERN.fullmatch(pattern):
            raise BadInput(
                f"'{pattern[:80]}' is no address: write ada@museum.org for one person, @museum.org for everybody "
                "there, or * for everybody who can log in."
            )
        if role not in ROLES:
            raise BadInput(f"An account may {', '.join(ROLES)}, not '{role}'.")
        if scope.question and not scope.dataset:
            raise BadInput("A role for a question needs its collection as well.")
        row = {"pattern": pattern, "role": role, "scope": {"dataset": scope.dataset, "question": scope.question}}
        with self._catalog.writing() as connection:
            for there in connection.execute(_in_force().where(roles.c.pattern == pattern)):
                if (there.role, there.scope) == (role, row["scope"]):
                    return _role(there)
            made = Role(new_id(), pattern, role, scope, self._catalog.now(connection))
            connection.execute(roles.insert().values(id=made.id, created=made.created, **row))
        self._forget()
        return made

    def all(self, dataset_id: str | None = None) -> list[Role]:
        """Those in force, the newest first; with a dataset, those that reach into it."""
        with self._catalog.reading() as connection:
            found = [_role(row) for row in connection.execute(_in_force().order_by(roles.c.created.desc()))]
        return [each for each in found if dataset_id is None or each.scope.dataset in ("", dataset_id)]

    def revoke(self, role_id: str) -> None:
        """Take a role back; who is inside by it feels it within a second. Raises NotFound."""
        with self._catalog.writing() as connection:
            wanted = (roles.c.id == role_id, roles.c.revoked.is_(None))
            done = connection.execute(roles.update().where(*wanted).values(revoked=self._catalog.now(connection)))
            if not done.rowcount:
                raise NotFound("There is no such role (any more).")
        self._forget()

    def owned(self) -> bool:
        """Whether some account owns everything."""
        return bool(self._owners) or any(each.role == "own" and each.scope == Scope() for each in self.all())

    def person_of(self, account: Account) -> Person | None:
        """Who that is, with what the address may do just now; None where it may do nothing. Notes who is new."""
        known = self.remembered(account)
        if known is not None:
            return known[0]
        held = self._held(account)
        person = None
        if held:
            name = _shown_name(account)
            person = Person(self._person_id(account, name), name, held)
        with self._lock:
            if len(self._people) >= _REMEMBERED:
                self._people.clear()
            self._people[account] = (time.monotonic(), person)
        return person

    def remembered(self, account: Account) -> tuple[Person | None] | None:
        """What `person_of` said within the last second, without asking the database; None if it has to be asked."""
        with self._lock:
            at, person = self._people.get(account, (float("-inf"), None))
        return (person,) if time.monotonic() - at < _FRESH_SECONDS else None

    def _held(self, account: Account) -> tuple[Grant, ...]:
        title = f"account {account.address}".strip()
        held = [Grant(each.role, each.scope, title=title) for each in self.all() if each.fits(account.address)]
        if account.address in self._owners:
            held.insert(0, Grant("own", title=title))
        return tuple(held)

    def _person_id(self, account: Account, name: str) -> str:
        said = {"name": name, "address": account.address or None}
        wanted = sa.select(people).where(people.c.account == account.key)
        with self._catalog.reading() as connection:
            row = connection.execute(wanted).first()
        if row is not None:
            if (row.name, row.address) != (said["name"], said["address"]):
                with self._catalog.writing() as connection:
                    connection.execute(people.update().where(people.c.id == row.id).values(**said))
            return str(row.id)
        try:
            with self._catalog.writing() as connection:
                now = self._catalog.now(connection)
                person = {"id": new_id(), "kind": "account", "account": account.key, "created": now, **said}
                connection.execute(people.insert().values(**person))
                return str(person["id"])
        except sa.exc.IntegrityError:  # two of their requests came at the same time, and the other one was first
            with self._catalog.reading() as connection:
                return str(connection.execute(wanted).one().id)

    def _forget(self) -> None:
        with self._lock:
            self._people.clear()


def _shown_name(account: Account) -> str:
    name = "".join(each for each in account.name if each.isprintable()).strip()[:NAMED_MOST]
    return name or account.address.partition("@")[0] or "Somebody"


def _in_force() -> sa.Select[Any]:
    return sa.select(roles).where(roles.c.revoked.is_(None))


def _role(row: Any) -> Role:
    return Role(row.id, row.pattern, row.role, Scope(**row.scope), row.created)
