"""What a grant lets people do, and when something was or will be, in plain words."""

import datetime
import zoneinfo

import streamlit as st

from explorer.errors import NotFound
from explorer.sharing.access import Scope
from explorer.web.runtime import Runtime

ROLE_WORDS = {
    "label": "Answer",
    "look": "Look around",
    "edit": "Answer, and change questions",
    "own": "Everything, as you may",
}
ROLE_MEANS = {
    "label": "say what is on the pictures",
    "look": "see the map, the groups, the questions and what came of them; change nothing",
    "edit": "also ask new questions, and rename, merge or split answers",
    "own": "also look for changes, add ways of looking, and decide who else may",
}


def what_it_allows(rt: Runtime, role: str, scope: Scope) -> str:
    """A role within a scope, as one sentence without its end; names of what is gone are not known any more."""
    where = "all collections"
    try:
        if scope.dataset:
            where = f"“{rt.dataset(scope.dataset).name}”"
        if scope.question:
            named = f"“{rt.questions.get(scope.question).name}”, a question about {where}"
            return {
                "look": f"See what came of {named}",
                "label": f"Answer {named}",
                "edit": f"Answer and change {named}",
            }.get(role, f"Do everything with {named}")
    except NotFound:
        return "Something that is not here any more"
    return {
        "look": f"Look around in {where}",
        "label": f"Look around and answer questions in {where}",
        "edit": f"Look around, answer and change questions in {where}",
    }.get(role, f"Do everything in {where}, and decide who else may")


def _here() -> datetime.tzinfo | None:
    try:
        return zoneinfo.ZoneInfo(st.context.timezone) if st.context.timezone else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return None


def day(seconds: float) -> str:
    """A day (UTC seconds) where the browser is: "3 December 2026"."""
    at = datetime.datetime.fromtimestamp(seconds, _here())
    return f"{at.day} {at:%B %Y}"


def end_of(chosen: datetime.date) -> float:
    """The last second of a day where the browser is, in UTC seconds."""
    last = datetime.datetime.combine(chosen, datetime.time(23, 59, 59), _here())
    return last.timestamp()


def today() -> datetime.date:
    return datetime.datetime.now(_here()).date()


def ago(seconds: float | None, now: float) -> str:
    """How long before `now` (both UTC seconds) something was."""
    if seconds is None:
        return "not used yet"
    past = max(now - seconds, 0.0)
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if past >= size:
            count = int(past // size)
            return f"last used {count} {word}{'s' if count > 1 else ''} ago"
    return "last used just now"
