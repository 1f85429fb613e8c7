"""Links that let people in: a role within a scope, until they end, are paused or revoked.

A link's secret has 256 bits and is stored as a hash only; the browser that spends it gets a secret of its own, which is
stored in the same way and says who comes back. One browser is one person, whatever number of links it has spent.
"""

import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from explorer.catalog.database import Catalog
from explorer.catalog.line import Line
from explorer.catalog.schema import grants, links, new_id, people
from explorer.errors import BadInput, Busy, NotFound, Refused, Unavailable
from explorer.sharing.access import ROLES, Grant, Person, Scope

NAMED_MOST = 80
_FRESH_SECONDS = 1.0
_USED_SECONDS = 60.0
_REMEMBERED, _TOGETHER = 4_096, 200
_UNKNOWN = "This link does not lead anywhere (any more): ask who sent it for a new one."


@dataclass(frozen=True)
class Link:
    """A link without its secret, which nobody can read again. Times are UTC seconds."""

    id: str
    name: str
    """Whom it greets."""
    role: str
    scope: Scope
    start: str
    """Path and query of the page that it opens."""
    seats: int | None
    """How many people may come in by it; None: any number."""
    ends: float | None
    paused: bool
    revoked: float | None
    created: float
    created_by: str
    last_used: float | None
    people: int
    """Who has come in and has not given it back."""

    def closed(self, now: float) -> str:
        """ "revoked", "ended" or "paused"; "" while it lets in."""
        if self.revoked is not None:
            return "revoked"
        if self.ends is not None and self.ends <= now:
            return "ended"
        return "paused" if self.paused else ""


@dataclass
class _Known:
    """Whose browser it is, as of a moment (monotonic seconds), and when it was last here."""

    at: float
    came: float
    person: Person | None


class LinkStore:
    """The links of a catalogue and the browsers that came by them. Safe to use from several threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._visitors: dict[str, _Known] = {}
        self._forgotten = float("-inf")
        self._asking = Line(self._ask)

    def create(
        self,
        role: str,
        scope: Scope,
        *,
        name: str = "",
        ends: float | None = None,
        seats: int | None = None,
        start: str = "/",
        created_by: str = "",
    ) -> tuple[Link, str]:
        """The new link and its secret, which is told this once. Raises BadInput."""
        if role not in ROLES:
            raise BadInput(f"A link lets people {', '.join(ROLES)}, not '{role}'.")
        if scope.question and not scope.dataset:
            raise BadInput("A link to a question needs its collection as well.")
        if len(name) > NAMED_MOST or not name.isprintable():
            raise BadInput(f"The name to greet has at most {NAMED_MOST} characters, on one line.")
        if seats is not None and seats < 1:
            raise BadInput("A link is for one person at least.")
        if not start.startswith("/") or start.startswith(("//", "/\\")) or not start.isprintable():
            raise BadInput(f"A link opens a page of this app, such as /label, not '{start[:80]}'.")
        secret = secrets.token_urlsafe(32)
        with self._catalog.writing() as connection:
            now = self._catalog.now(connection)
            if ends is not None and ends <= now:
                raise BadInput("The link would have ended already; choose a later day.")
            link_id = new_id()
            row = {
                "id": link_id,
                "secret_hash": hashed(secret),
                "role": role,
                "scope": {"dataset": scope.dataset, "question": scope.question},
                "name": name.strip(),
                "ends": ends,
                "paused": False,
                "created": now,
                "seats": seats,
                "start": start,
                "created_by": created_by,
            }
            connection.execute(links.insert().values(**row))
            return self._get(connection, link_id), secret

    def all(self, dataset_id: str | None = None) -> list[Link]:
        """The newest first; with a dataset, those that reach into it."""
        with self._catalog.reading() as connection:
            found = [_link(row) for row in connection.execute(_selected().order_by(links.c.created.desc()))]
        return [each for each in found if dataset_id is None or each.scope.dataset in ("", dataset_id)]

    def get(self, link_id: str) -> Link:
        """Raises NotFound."""
        with self._catalog.reading() as connection:
            return self._get(connection, link_id)

    def pause(self, link_id: str, paused: bool = True) -> None:
        """Let nobody in by it, and those who came by it do nothing, until it is resumed."""
        self._change(link_id, paused=paused)

    def revoke(self, link_id: str) -> None:
        """As pausing, for ever."""
        with self._catalog.reading() as connection:
            now = self._catalog.now(connection)
        self._change(link_id, revoked=now)

    def offered(self, secret: str) -> Link:
        """The link of a secret, without spending it. Raises Refused where it lets nobody in."""
        with self._catalog.reading() as connection:
            return self._open(connection, secret)

    def redeem(self, secret: str, browser: str = "", name: str = "") -> tuple[str, Link]:
        """Let a browser in: its secret (`browser` if that is known here, else a new one) and the link.

        A browser takes one seat of a link however often it comes. `name`: what the person wants to be called.
        Raises Refused where the link lets nobody in, or everybody whom it was meant for is in.
        """
        name = "".join(each for each in name if each.isprintable()).strip()[:NAMED_MOST]
        with self._catalog.writing() as connection:
            link = self._open(connection, secret, locked=True)
            now = self._catalog.now(connection)
            person_id = self._person_of(connection, browser)
            if person_id is None:
                browser = secrets.token_urlsafe(32)
            held = connection.execute(
                sa.select(grants).where(grants.c.browser == hashed(browser), grants.c.link_id == link.id)
            ).first()
            if (held is None or held.given_back is not None) and link.seats is not None and link.people >= link.seats:
                raise Refused("Everybody whom this link was meant for is in already; ask who sent it for another one.")
            if person_id is None:
                person_id = new_id()
                called = name or link.name or "Guest"
                connection.execute(people.insert().values(id=person_id, name=called, kind="guest", created=now))
            elif name:
                connection.execute(people.update().where(people.c.id == person_id).values(name=name))
            if held is None:
                row = {"browser": hashed(browser), "link_id": link.id, "person_id": person_id, "created": now}
                connection.execute(grants.insert().values(id=new_id(), last_used=now, **row))
            else:
                changed = grants.update().where(grants.c.id == held.id)
                connection.execute(changed.values(given_back=None, last_used=now))
            connection.execute(links.update().where(links.c.id == link.id).values(last_used=now))
        self._forget(hashed(browser))
        return browser, link

    def visitor(self, browser: str) -> Person | None:
        """Who comes with this browser's secret, with what they hold just now; None if it is not known here."""
        if not browser:
            return None
        known = self.remembered(browser)
        return known[0] if known is not None else self._asking.put([hashed(browser)])[0]

    def _ask(self, marks: Sequence[str]) -> list[Person | None]:
        """Who these browsers are; asked in one go with all that were here a moment ago, so that many people at once
        cost one query and not one each."""
        began = time.monotonic()
        with self._lock:
            here = [mark for mark, known in self._visitors.items() if began - known.came < _FRESH_SECONDS]
        asked = list(dict.fromkeys([*marks, *here[:_TOGETHER]]))
        with self._catalog.reading() as connection:
            now = self._catalog.now(connection)
            joined = grants.join(links, links.c.id == grants.c.link_id).join(people, people.c.id == grants.c.person_id)
            wanted = (grants, links.c.role, links.c.scope, links.c.name, links.c.ends, links.c.paused, links.c.revoked)
            found = sa.select(*wanted, people.c.name.label("called")).select_from(joined)
            rows = connection.execute(found.where(grants.c.browser.in_(asked))).all()
        told: dict[str, Person | None] = dict.fromkeys(asked)
        for mark in {row.browser for row in rows}:
            own = [row for row in rows if row.browser == mark]
            held = tuple(Grant(row.role, Scope(**row.scope), row.id, row.name) for row in own if _lets_in(row, now))
            told[mark] = Person(own[0].person_id, own[0].called, held)
        stale = [row for row in rows if _lets_in(row, now) and now - (row.last_used or 0) > _USED_SECONDS]
        if stale:
            self._used([row.id for row in stale], [row.link_id for row in stale], now)
        with self._lock:
            if self._forgotten > began:  # something was changed while this was read
                return [told[mark] for mark in marks]
            if len(self._visitors) >= _REMEMBERED:
                self._visitors.clear()
            for mark, person in told.items():
                came = began if mark in marks else self._visitors[mark].came if mark in self._visitors else 0.0
                self._visitors[mark] = _Known(began, came, person)
        return [told[mark] for mark in marks]

    def remembered(self, browser: str) -> tuple[Person | None] | None:
        """What `visitor` said within the last second, without asking the database; None if it has to be asked."""
        now = time.monotonic()
        with self._lock:
            known = self._visitors.get(hashed(browser))
            if known is None or now - known.at >= _FRESH_SECONDS:
                return None
            known.came = now
        return (known.person,)

    def rename(self, browser: str, name: str) -> None:
        """What the person of this browser wants to be called from now on. Raises BadInput, NotFound."""
        name = name.strip()
        if not name or len(name) > NAMED_MOST or not name.isprintable():
            raise BadInput(f"A name has 1 to {NAMED_MOST} characters, on one line.")
        with self._catalog.writing() as connection:
            person_id = self._person_of(connection, browser)
            if person_id is None:
                raise NotFound("This browser came by no link.")
            connection.execute(people.update().where(people.c.id == person_id).values(name=name))
        self._forget(hashed(browser))

    def give_back(self, browser: str, grant_id: str) -> None:
        """The person does not want to hold this grant any longer. Raises NotFound if the browser does not hold it."""
        with self._catalog.writing() as connection:
            own = (grants.c.id == grant_id, grants.c.browser == hashed(browser), grants.c.given_back.is_(None))
            done = connection.execute(grants.update().where(*own).values(given_back=self._catalog.now(connection)))
            if not done.rowcount:
                raise NotFound("This browser does not hold that link (any more).")
        self._forget(hashed(browser))

    def _change(self, link_id: str, **values: Any) -> None:
        with self._catalog.writing() as connection:
            if not connection.execute(links.update().where(links.c.id == link_id).values(**values)).rowcount:
                raise NotFound("There is no such link (any more).")
        with self._lock:
            self._visitors.clear()
            self._forgotten = time.monotonic()

    def _forget(self, mark: str) -> None:
        with self._lock:
            self._visitors.pop(mark, None)
            self._forgotten = time.monotonic()

    def _used(self, grant_ids: list[str], link_ids: list[str], now: float) -> None:
        # a full disk or a busy database, which can still be read, shuts nobody out
        with contextlib.suppress(Busy, Unavailable), self._catalog.writing(questions_stay=True) as connection:
            connection.execute(grants.update().where(grants.c.id.in_(grant_ids)).values(last_used=now))
            connection.execute(links.update().where(links.c.id.in_(link_ids)).values(last_used=now))

    def _person_of(self, connection: Connection, browser: str) -> str | None:
        if not browser:
            return None
        wanted = sa.select(grants.c.person_id).where(grants.c.browser == hashed(browser)).limit(1)
        found: str | None = connection.execute(wanted).scalar()
        return found

    def _open(self, connection: Connection, secret: str, locked: bool = False) -> Link:
        wanted = sa.select(links.c.id).where(links.c.secret_hash == hashed(secret))
        link_id = connection.execute(wanted.with_for_update() if locked else wanted).scalar()
        if link_id is None:
            raise Refused(_UNKNOWN)
        link = self._get(connection, link_id)
        closed = link.closed(self._catalog.now(connection))
        if closed == "paused":
            raise Refused("This link is paused for now; ask who sent it.")
        if closed:
            raise Refused(_UNKNOWN)
        return link

    def _get(self, connection: Connection, link_id: str) -> Link:
        row = connection.execute(_selected().where(links.c.id == link_id)).first()
        if row is None:
            raise NotFound("There is no such link (any more).")
        return _link(row)


def hashed(secret: str) -> str:
    """SHA-256 of a secret of 256 random bits: nothing slower is needed against guessing that many."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _selected() -> sa.Select[Any]:
    in_now = sa.select(sa.func.count()).where(grants.c.link_id == links.c.id, grants.c.given_back.is_(None))
    return sa.select(links, in_now.scalar_subquery().label("people"))


def _link(row: Any) -> Link:
    plain = ("id", "name", "role", "start", "seats", "ends", "paused", "revoked", "created", "created_by", "last_used")
    return Link(scope=Scope(**row.scope), people=row.people, **{name: getattr(row, name) for name in plain})


def _lets_in(row: Any, now: float) -> bool:
    return row.given_back is None and row.revoked is None and not row.paused and (row.ends is None or row.ends > now)
