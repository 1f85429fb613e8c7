"""The labelling panel's three requests: store answers, choose the next pictures, sort all of them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.learning.answers import AnswerEvent, CurrentAnswer
from explorer.learning.questions import Question
from explorer.sharing.access import Person
from explorer.space import Space
from explorer.web import views
from explorer.web.filters import Filter

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

MOST_EVENTS = 5_000
MOST_SHOWN = 480
MOST_BATCH = 96
_TEXTS = ("client_event_id", "uid", "value", "class_id", "undoes", "policy", "space", "batch_id")


def record(rt: "Runtime", person: Person, dataset_id: str, message: Any) -> dict[str, Any]:
    """Store the events of a POST; what comes back is on the disk. Raises BadInput and stores nothing otherwise."""
    if not isinstance(message, dict) or not isinstance(message.get("events"), list):
        raise BadInput("The answers lack 'question' or 'events'; nothing was stored.")
    if len(message["events"]) > MOST_EVENTS:
        raise BadInput(f"At most {MOST_EVENTS:,} answers fit into one request; send them in parts.")
    question = views.question_of(rt, dataset_id, str(message.get("question", "")))
    dataset = rt.dataset(dataset_id)
    events = [_event(each, question, person, dataset) for each in message["events"]]
    stored = rt.answers.record(events)
    return {
        "stored": [{"client_event_id": s.client_event_id, "seq": s.seq, "duplicate": s.duplicate} for s in stored],
        "latest": rt.answers.latest_seq(question.id),
    }


def _event(raw: Any, question: Question, person: Person, dataset: Dataset) -> AnswerEvent:
    if not isinstance(raw, dict):
        raise BadInput("An answer is not an object; nothing was stored.")
    texts: dict[str, Any] = {name: raw.get(name) for name in _TEXTS}
    wrong = [name for name, value in texts.items() if value is not None and not isinstance(value, str)]
    if wrong:
        raise BadInput(f"'{wrong[0]}' of an answer is not a text; nothing was stored.")
    probability = raw.get("probability")
    if probability is not None and (isinstance(probability, bool) or not isinstance(probability, int | float)):
        raise BadInput("'probability' of an answer is not a number; nothing was stored.")
    uid = texts["uid"] or ""
    row = dataset.row_of.get(uid)
    if row is None:
        raise BadInput(f"There is no picture '{uid[:200]}' in this collection; nothing was stored.")
    return AnswerEvent(
        client_event_id=texts["client_event_id"] or "",
        question_id=question.id,
        uid=uid,
        value=texts["value"] or "",
        class_id=texts["class_id"],
        content_hash=str(dataset.items["content_hash"].iloc[row]),
        person_id=person.id,
        space=texts["space"] or "",
        blind=bool(raw.get("blind", False)),
        policy=texts["policy"] or "",
        probability=None if probability is None else float(probability),
        batch_id=texts["batch_id"],
        undoes=texts["undoes"],
    )


def order(rt: "Runtime", dataset_id: str, query: dict[str, str]) -> dict[str, Any]:
    """The pictures most likely to be of a class, the most likely first; everything the panel shows below the batch."""
    question, dataset, space = _asked(rt, dataset_id, query)
    after = views.number(query.get("after"), 0, 0, 2**53)
    offset = views.number(query.get("offset"), 0, 0, 10**9)
    most = views.number(query.get("n"), 24, 1, MOST_SHOWN)
    scores = rt.live.scores(dataset_id, question.id, space.key, after)
    current = rt.answers.current(question.id)
    said: dict[str, Any] = {
        "seq": scores.seq,
        "ready": scores.ready,
        "answered": sum(answer.value == "yes" for answer in current.values()),
        "quality": {"sentence": scores.quality.sentence if scores.quality else ""},
        "items": [],
    }
    if scores.ready:
        classes = list(question.class_ids)
        wanted = query.get("class") or ""
        if wanted and wanted not in classes:
            raise BadInput("That answer is not part of the question (any more); reload the page.")
        chances = scores.probabilities[:, classes.index(wanted)] if wanted else scores.probabilities.max(1)
        rows = _best(chances, _shown(dataset, space, query), offset, most)
        guesses = scores.probabilities[rows].argmax(1)
        items = zip(rows, guesses, strict=True)
        said["items"] = [
            {
                **_card(dataset, space, int(row)),
                "class_id": wanted or classes[guess],
                "p": round(float(chances[row]), 4),
                "answer": _answer(current.get(space.uids[int(row)])),
            }
            for row, guess in items
        ]
    return said


def batch(rt: "Runtime", dataset_id: str, query: dict[str, str]) -> dict[str, Any]:
    """The next pictures to answer, chosen by a policy, each with the probability that it was picked."""
    question, dataset, space = _asked(rt, dataset_id, query)
    most = views.number(query.get("n"), 24, 1, MOST_BATCH)
    policy = query.get("policy") or "useful"
    allowed = _shown(dataset, space, query)
    picked = rt.live.batch(dataset_id, question.id, space.key, policy, most, allowed=allowed)
    scores = rt.live.scores(dataset_id, question.id, space.key, 0)
    items = []
    for uid, probability in picked.items:
        row = space.rows[uid]
        card = {**_card(dataset, space, row), "probability": probability, "policy": picked.policy}
        if scores.ready:
            guess = int(scores.probabilities[row].argmax())
            chance = round(float(scores.probabilities[row, guess]), 4)
            card["guess"] = {"class_id": question.class_ids[guess], "p": chance}
        items.append(card)
    return {"why": picked.why, "policy": picked.policy, "items": items}


def _asked(rt: "Runtime", dataset_id: str, query: dict[str, str]) -> tuple[Question, Dataset, Space]:
    question = views.question_of(rt, dataset_id, query.get("question", ""))
    return question, rt.dataset(dataset_id), rt.space(dataset_id, query.get("space", ""))


def _shown(dataset: Dataset, space: Space, query: dict[str, str]) -> np.ndarray:
    """(n,) bool: rows of the space whose pictures are still there and pass the filter of the page."""
    items = views.space_items(dataset, space)
    present = (items["status"] == "ok").to_numpy()
    wanted = Filter.parse(query.get("f"))
    return present & wanted.mask(items) if wanted else present


def _best(chances: np.ndarray, mask: np.ndarray, offset: int, most: int) -> np.ndarray:
    """Rows of the largest chances among `mask`, from place `offset` on; ties in the order of the rows."""
    rows = np.flatnonzero(mask)
    end = min(offset + most, len(rows))
    if end <= offset:
        return rows[:0]
    values = chances[rows]
    if end < len(rows):
        edge = np.partition(values, len(values) - end)[len(values) - end]
        rows = rows[values >= edge]
        values = chances[rows]
    return rows[np.argsort(-values, kind="stable")][offset:end]


def _card(dataset: Dataset, space: Space, row: int) -> dict[str, Any]:
    uid = space.uids[row]
    place = dataset.row_of[uid]
    return {"uid": uid, "hash": space.hashes[row], "caption": str(dataset.items["caption"].iloc[place])}


def _answer(answer: CurrentAnswer | None) -> dict[str, Any] | None:
    return None if answer is None else {"value": answer.value, "class_id": answer.class_id}
