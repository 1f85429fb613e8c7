"""Who may do what: one question, `authorise`, asked by every page and every route; and what the door checks.

A person holds grants: a role on everything, on one dataset, or on one question of it. The owner of this computer, let
in by this launch's link, holds everything; links and accounts give the others what they may; who holds nothing is
nobody.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from explorer.errors import BadInput, Refused
from explorer.workspace import allowed_roots

ACTIONS = ("see", "look", "label", "edit", "own")
"""Each holds those before it. See: pictures and what is written under them. Look: the map, the questions, what came of
them. Label: answer. Edit: questions, classes, decisions. Own: everything, and who else may."""
ROLES = ACTIONS[1:]
"""What a link or an account can be given."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


@dataclass(frozen=True)
class Scope:
    """What is asked about or granted: everything, a dataset, or one question of it."""

    dataset: str = ""
    question: str = ""


@dataclass(frozen=True)
class Grant:
    """A role within a scope. `id` names what it came from, so that it can be given back; "" for this launch's link."""

    role: str
    scope: Scope = Scope()
    id: str = ""
    title: str = ""

    def allows(self, action: str, what: Scope) -> bool:
        """A grant for one question lets its pictures be seen, and nothing else of the dataset."""
        if self.role not in ROLES or self.scope.dataset not in ("", what.dataset):
            return False
        if self.scope.question in ("", what.question):
            return ACTIONS.index(action) <= ACTIONS.index(self.role)
        return action == "see" and not what.question


@dataclass(frozen=True)
class Person:
    """Somebody who was let in, with what they hold."""

    id: str
    name: str
    grants: tuple[Grant, ...] = ()

    @classmethod
    def local_owner(cls) -> "Person":
        return cls("local", "you", (Grant("own"),))


def may(who: Person | None, action: str, what: Scope) -> bool:
    """Whether `who` may do `action` with `what`."""
    return who is not None and action in ACTIONS and any(each.allows(action, what) for each in who.grants)


def authorise(who: Person | None, action: str, what: Scope) -> None:
    """Raise Refused unless `who` may do `action` with `what`."""
    if action not in ACTIONS:
        raise Refused(f"Nobody may '{action}': there is no such action.")
    if who is None:
        raise Refused("Open the app with the link that you were given, or the one printed where it was started.")
    if not may(who, action, what):
        held = [each.role for each in who.grants if each.scope.dataset in ("", what.dataset)]
        if not held:
            where = f"to '{what.dataset}'" if what.dataset else "here"
            raise Refused(f"The links that you were given do not lead {where}; ask the owner for one.")
        there = f" in '{what.dataset}'" if what.dataset else ""
        raise Refused(f"What you were let in for{there} ({', '.join(held)}) does not reach to this ({action}).")


@dataclass(frozen=True)
class LaunchToken:
    """The secret of one launch. The browser keeps a value derived from it, so a stolen cookie opens no new session
    elsewhere after the next start, and the token itself stands in no cookie jar."""

    secret: str

    @classmethod
    def from_environment(cls) -> "LaunchToken":
        """EXPLORER_TOKEN, or a new secret of 256 bits, which child processes then find there."""
        secret = os.environ.get("EXPLORER_TOKEN")
        if not secret:
            secret = os.environ["EXPLORER_TOKEN"] = secrets.token_urlsafe(32)
        return cls(secret)

    def matches(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.secret.encode())

    def cookie_value(self) -> str:
        return hmac.new(self.secret.encode(), b"browser cookie", hashlib.sha256).hexdigest()

    def cookie_matches(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.cookie_value().encode())


def host_allowed(host: str) -> bool:
    """Whether a Host header names this computer, or a name listed in EXPLORER_HOSTS (comma-separated, without port).

    A page elsewhere whose name was made to point at this computer (DNS rebinding) sends its own name.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name.lower() in LOOPBACK | named_hosts()


def named_hosts() -> frozenset[str]:
    """The names in EXPLORER_HOSTS under which the app may be reached besides this computer's own, in small letters."""
    return frozenset(part.strip().lower() for part in os.environ.get("EXPLORER_HOSTS", "").split(",") if part.strip())


def origin_allowed(origin: str, host: str) -> bool:
    """Whether a request that changes something comes from a page of this very server."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def allowed_path(text: str) -> Path:
    """A path that somebody typed, links resolved. Raises BadInput if it is not there, Refused outside the roots."""
    if not text.strip() or "\x00" in text:
        raise BadInput("Type the path of a folder, a table or a zip.")
    path = Path(text.strip()).expanduser()
    roots = allowed_roots()
    resolved = path.resolve() if path.is_absolute() else (roots[0] / path).resolve()
    if not any(resolved.is_relative_to(root) for root in roots):
        below = ", ".join(str(root) for root in roots)
        raise Refused(f"{text.strip()} is outside the folders that may be added here ({below}; set by EXPLORER_ROOTS).")
    if not resolved.exists():
        raise BadInput(f"There is nothing at {resolved}; check the path.")
    return resolved
