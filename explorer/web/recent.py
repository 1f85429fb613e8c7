"""What somebody answered last, so that taking back goes on after the page was left: newest first, a batch as one."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from explorer.catalog.schema import answers as table
from explorer.sharing.access import Person
from explorer.web import views

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

MOST_RECENT = 50
_PAGE = 5_000
_PAGES = 30
_UIDS = 24
"""Pictures of a batch that are named; the others are counted."""


@dataclass
class _Press:
    """One press of a key: one event, or all those of a batch."""

    newest: Row[Any]
    batch: bool
    count: int = 0
    uids: dict[str, set[str]] = field(default_factory=dict)
    """Picture -> classes that are said to be true of it."""


def recent(rt: "Runtime", person: Person, dataset_id: str, query: dict[str, str]) -> dict[str, Any]:
    """The last standing answers of this person to a question, newest first, up to 50 presses.

    {"items": [{"event", "batch", "value", "class_id", "policy", "count", "pictures"}]}: `event` is the client_event_id
    of a single answer, `batch` the batch_id of several (taken back by "undo_batch"), `count` how many events.
    """
    question = views.question_of(rt, dataset_id, query.get("question", ""))
    dataset = rt.dataset(dataset_id)
    presses = _standing(rt, question.id, person.id, views.number(query.get("n"), MOST_RECENT, 1, MOST_RECENT))
    items = []
    for press in presses:
        row = press.newest
        shown = []
        for uid, classes in list(press.uids.items())[:_UIDS]:
            place = dataset.row_of.get(uid)
            if place is None:
                continue
            known = {"hash": str(dataset.items["content_hash"].iloc[place])}
            caption = str(dataset.items["caption"].iloc[place])
            shown.append({"uid": uid, **known, "caption": caption, "class_ids": sorted(classes)})
        items.append(
            {
                "event": None if press.batch else row.client_event_id,
                "batch": row.batch_id if press.batch else None,
                "value": "yes" if row.value == "no" else row.value,
                "class_id": row.class_id,
                "policy": row.policy,
                "count": press.count,
                "pictures": shown,
            }
        )
    return {"items": items}


def _standing(rt: "Runtime", question_id: str, person_id: str, most: int) -> list[_Press]:
    """Walks back from the newest event: whoever takes an event back comes after it, so one pass is enough."""
    off: set[str] = set()
    found: dict[str, _Press] = {}
    before = 2**62
    for _ in range(_PAGES):
        rows = _page(rt, question_id, person_id, before)
        for row in rows:
            if row.client_event_id in off:
                off.discard(row.client_event_id)
            elif row.undoes is not None:
                off.add(row.undoes)
            elif not row.policy.startswith("column:"):
                key = row.batch_id or row.client_event_id
                if key not in found and len(found) == most:
                    return list(found.values())
                press = found.setdefault(key, _Press(row, bool(row.batch_id)))
                press.count += 1
                if len(press.uids) <= _UIDS or row.uid in press.uids:
                    true = press.uids.setdefault(row.uid, set())
                    if row.value == "yes" and row.class_id:
                        true.add(row.class_id)
        if len(rows) < _PAGE:
            break
        before = rows[-1].seq
    return list(found.values())


def _page(rt: "Runtime", question_id: str, person_id: str, before: int) -> list[Row[Any]]:
    columns = [table.c[name] for name in "seq client_event_id uid value class_id policy batch_id undoes".split()]
    wanted = (
        sa.select(*columns)
        .where(table.c.question_id == question_id, table.c.person_id == person_id, table.c.seq < before)
        .order_by(table.c.seq.desc())
        .limit(_PAGE)
    )
    with rt.catalog.reading() as connection:
        return list(connection.execute(wanted).all())
