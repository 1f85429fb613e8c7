"""The labelling panel's requests: store answers, choose the next pictures, sort all of them, tell what others do."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, Busy
from explorer.learning.answers import AnswerEvent, CurrentAnswer, Value
from explorer.learning.claims import answered_by, full, overlap_of
from explorer.learning.live import Order
from explorer.learning.questions import Question
from explorer.learning.scores import Scores
from explorer.learning.standing import RESOLVE, WHOLE
from explorer.learning.suggestions import POLICIES
from explorer.sharing.access import Person, Scope, authorise, may
from explorer.space import Space
from explorer.web import views
from explorer.web.bulk import answer_many, shown_rows, take_back
from explorer.web.handing import claim_rows, done_rows, hand_out
from explorer.web.sets import picture_set
from explorer.web.together import who_said

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

MOST_EVENTS = 5_000
MOST_SHOWN = 480
MOST_BATCH = 96
_TEXTS = ("client_event_id", "uid", "value", "class_id", "undoes", "policy", "space", "batch_id")


def record(rt: "Runtime", person: Person, dataset_id: str, message: Any) -> dict[str, Any]:
    """Store the events of a POST; what comes back is on the disk. Raises BadInput and stores nothing otherwise."""
    if isinstance(message, dict) and "bulk" in message:
        return answer_many(rt, person, dataset_id, message)
    if isinstance(message, dict) and "undo_batch" in message:
        return take_back(rt, person, dataset_id, message)
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
        "latest": max(s.seq for s in stored) if stored else rt.answers.latest_seq(question.id),
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
    if texts["policy"] == RESOLVE:  # it holds over what others say
        authorise(person, "edit", Scope(dataset.id, question.id))
    return AnswerEvent(
        client_event_id=texts["client_event_id"] or "",
        question_id=question.id,
        uid=uid,
        value=cast(Value, texts["value"] or ""),  # AnswerStore refuses what is none
        class_id=texts["class_id"],
        content_hash=dataset.text("content_hash", row),
        person_id=person.id,
        space=texts["space"] or "",
        blind=bool(raw.get("blind", False)),
        policy=texts["policy"] or "",
        probability=None if probability is None else float(probability),
        batch_id=texts["batch_id"],
        undoes=texts["undoes"],
    )


def order(rt: "Runtime", dataset_id: str, query: dict[str, str]) -> bytes:
    """The pictures most likely to be of a class, the most likely first; everything the panel shows below the batch.

    JSON, put together once for all who look at the same page of the same scores.
    """
    question, dataset, space = _asked(rt, dataset_id, query)
    found = rt.live.order(
        dataset_id,
        question.id,
        space.key,
        class_id=query.get("class") or "",
        offset=views.number(query.get("offset"), 0, 0, 10**9),
        n=views.number(query.get("n"), 24, 1, MOST_SHOWN),
        after_seq=views.number(query.get("after"), 0, 0, 2**53),
        allowed=shown_rows(rt, dataset, space, query.get("f")),
    )
    made, body = found.kept.get("body", (None, b""))
    if made is not dataset:
        body = json.dumps(_order(dataset, question, found), separators=(",", ":")).encode()
        found.kept["body"] = dataset, body
    return body


def _order(dataset: Dataset, question: Question, found: Order) -> dict[str, Any]:
    scores = found.scores
    quality = scores.quality.sentence if scores.quality else scores.reason
    told = _told(question, scores)
    items = [
        {
            **_card(dataset, each.uid, each.hash),
            "class_id": each.class_id,
            "p": round(each.p or 0.0, 4),
            "unlike": each.unlike,
            "answer": told(each.uid),
        }
        for each in (found.items if scores.ready else ())
    ]
    said = {"seq": scores.seq, "ready": scores.ready, "answered": _answered(scores.answers), "total": found.total}
    counts = counted(question, scores.answers, scores.attributes)
    return {**said, "counts": counts, "quality": {"sentence": quality}, "items": items}


def batch(rt: "Runtime", person: Person, dataset_id: str, query: dict[str, str]) -> dict[str, Any]:
    """The next pictures to answer, each with the probability that it was picked: by a policy, or of a `set`.

    They are this person's for a minute; where there are none, "held" counts those that others have.
    """
    question, dataset, space = _asked(rt, dataset_id, query)
    if query.get("set"):
        return _of_set(rt, person, question, dataset, space, query)
    most = views.number(query["n"], 24, 1, MOST_BATCH) if query.get("n") else None
    policy = query.get("policy") or "useful"
    keep = _listed(query.get("without"))
    shown = shown_rows(rt, dataset, space, _filter(person, dataset_id, query))
    handed = hand_out(rt, person, question, space, policy, most, shown, keep)
    scores = rt.live.scores(dataset_id, question.id, space.key, may_lag=True)
    cards = _asked_cards(question, dataset, scores, [pick.uid for pick in handed.picks])
    items = [
        {**card, "probability": pick.probability, "policy": pick.policy}
        for card, pick in zip(cards, handed.picks, strict=True)
    ]
    return {"why": handed.why, "policy": handed.policy, "items": items, "held": handed.held}


def _filter(person: Person, dataset_id: str, query: dict[str, str]) -> str:
    """The page's filter; none for whoever may not look around, since it tells of columns and of others' answers."""
    return query.get("f", "") if may(person, "look", Scope(dataset_id)) else ""


def _of_set(
    rt: "Runtime", person: Person, question: Question, dataset: Dataset, space: Space, query: dict[str, str]
) -> dict[str, Any]:
    """The pictures of a set that have no answer yet, and how many there are in all."""
    most = views.number(query.get("n"), 24, 1, MOST_SHOWN)
    chosen = picture_set(rt, dataset, space, question, query["set"])
    deciding = chosen.policy == RESOLVE
    if deciding:
        authorise(person, "edit", Scope(dataset.id, question.id))
    rows = chosen.rows[shown_rows(rt, dataset, space, _filter(person, dataset.id, query))[chosen.rows]]
    open_rows = rows if chosen.again else rows[~done_rows(rt, person, question, space)[rows]]
    scores = rt.live.scores(dataset.id, question.id, space.key)
    if scores.space is not space:
        raise Busy("The collection is being renewed at this moment; try again.")
    handed, held = claim_rows(rt, person, question, space, open_rows, most, bool(chosen.again))
    more = {"probability": 1.0, "policy": chosen.policy} | ({"again": chosen.again} if chosen.again else {})
    uids = [space.uids[int(row)] for row in handed]
    said = who_said(rt, person, question, uids) if deciding else {}
    items = [
        {**card, **more} | ({"said": said[card["uid"]]} if deciding else {})
        for card in _asked_cards(question, dataset, scores, uids)
    ]
    about = {"words": chosen.words, "total": len(rows), "open": len(open_rows), "again": chosen.again, "held": held}
    return {"why": f"{chosen.words}.", "policy": chosen.policy, "items": items, "set": about, "held": held}


def _asked_cards(question: Question, dataset: Dataset, scores: Scores, uids: list[str]) -> list[dict[str, Any]]:
    """Pictures to be answered, with what the classifier takes each for at this moment."""
    rows = np.array([scores.space.rows[uid] for uid in uids], np.int64)
    cards = [_card(dataset, uid, scores.space.hashes[row]) for uid, row in zip(uids, rows, strict=True)]
    if not scores.ready:
        return cards
    for card, shares in zip(cards, scores.probabilities_of(rows), strict=True):
        if question.kind == "attributes":
            likely = [class_id for class_id, p in zip(scores.class_ids, shares, strict=True) if p >= 0.5]
            card["guess"] = {"class_ids": likely, "p": round(float(abs(shares - 0.5).min() + 0.5), 4)}
        else:
            best = int(shares.argmax())
            card["guess"] = {"class_id": scores.class_ids[best], "p": round(float(shares[best]), 4)}
    return cards


def _listed(without: str | None) -> list[str]:
    """The uids of pictures that are on the screen already: `without` is a JSON list."""
    if not without:
        return []
    try:
        uids = json.loads(without)
    except ValueError as error:
        raise BadInput("'without' of the address is no list; reload the page.") from error
    if not isinstance(uids, list) or len(uids) > MOST_BATCH:
        raise BadInput("'without' of the address is no list of a few pictures; reload the page.")
    return [uid for uid in uids if isinstance(uid, str)]


def news(rt: "Runtime", person: Person, dataset_id: str, query: dict[str, str]) -> dict[str, Any]:
    """What has happened at a question since event `after`: {"seq", "here": people who are answering}.

    Where something has: also "counts" by class, "answered" pictures, whether "others" did something, and "done", the
    uids of pictures that others have answered since and that need no answer of this person any more. With `hold=1`
    the pictures that this person was handed stay theirs for another minute.
    """
    question = views.question_of(rt, dataset_id, query.get("question", ""))
    after = views.number(query.get("after"), 0, 0, 2**53)
    if query.get("hold") == "1":
        rt.claims.refresh(question.id, person.id)
    stand = rt.bulletin.stand(question.id)
    told: dict[str, Any] = {"seq": stand.seq, "here": len(stand.here | {person.id})}
    if stand.seq <= after:
        return told
    current, seq = rt.bulletin.once(question.id, "current", stand.seq, lambda: rt.answers.current_with_seq(question.id))
    counts = rt.bulletin.once(question.id, "counts", stand.seq, lambda: class_counts(rt, question))
    answered = rt.bulletin.once(question.id, "answered", stand.seq, lambda: _answered(current))
    new = rt.bulletin.since(question.id, after, person.id)
    done = sorted(_done(rt, person, question, stand.seq, new.intersection(current)))
    return told | {"seq": seq, "counts": counts, "answered": answered, "others": bool(new), "done": done}


def policies(question: Question) -> list[dict[str, str]]:
    """The ways of choosing what to answer next, for the panel, each with why; a batch may say it more exactly."""
    likely = [
        {
            "id": f"likely:{c.id}",
            "title": f"Likely {c.name}",
            "why": f"To see whether they are “{c.name}”, the surest first.",
        }
        for c in question.classes
    ]
    finish = [
        {"id": f"finish:{c.id}", "title": f"Work off {c.name}", "why": f"To find every “{c.name}” there is."}
        for c in question.classes
        if not c.none and "finish" in POLICIES
    ]
    return [
        {
            "id": "useful",
            "title": "Most useful",
            "why": "Unsure, and each unlike the others: an answer teaches the most.",
        },
        *likely,
        {"id": "borderline", "title": "Borderline", "why": "Right between two answers: this draws the line."},
        {"id": "strange", "title": "Strange", "why": "Unlike all that was answered: mistakes hide there."},
        {"id": "random", "title": "Random check", "why": "Drawn by lot: the fairest judge of how good it is."},
        *finish,
    ]


def class_counts(rt: "Runtime", question: Question) -> dict[str, int]:
    """Class id -> pictures that have this answer now."""
    if question.kind == "attributes":
        return counted(question, {}, rt.answers.attributes_with_seq(question.id)[0])
    return counted(question, rt.answers.current(question.id), {})


def counted(
    question: Question,
    answers: Mapping[str, CurrentAnswer],
    attributes: Mapping[str, Mapping[str, CurrentAnswer]],
) -> dict[str, int]:
    """Class id -> pictures that have this answer: of `AnswerStore.current`, or, of a question of attributes, of
    `attributes_with_seq`."""
    if question.kind == "attributes":
        counts = Counter(c for each in attributes.values() for c, answer in each.items() if answer.value == "yes")
    else:
        counts = Counter(each.class_id for each in answers.values() if each.value == "yes" and each.class_id)
    return {class_id: counts.get(class_id, 0) for class_id in question.class_ids}


def _done(rt: "Runtime", person: Person, question: Question, seq: int, uids: set[str]) -> set[str]:
    """Those of the answered pictures that need no answer of this person."""
    overlap = overlap_of(question)
    if not uids or overlap == 1:
        return uids
    said = rt.bulletin.once(question.id, "by", seq, lambda: answered_by(rt.answers.by_person(question.id)))
    decided = rt.answers.decided(question.id)
    return {uid for uid in uids if uid in decided or full(person.id, said.get(uid, ()), overlap)}


def _answered(answers: Mapping[str, CurrentAnswer]) -> int:
    return sum(answer.value in ("yes", "no") for answer in answers.values())


def _told(question: Question, scores: Scores) -> Callable[[str], dict[str, Any] | None]:
    """What the panel is told of a picture's present answer, by uid."""
    if question.kind != "attributes":
        return lambda uid: _answer(scores.answers.get(uid))

    def told(uid: str) -> dict[str, Any] | None:
        said = scores.attributes.get(uid)
        if not said:
            return None
        if WHOLE in said:
            return {"value": said[WHOLE].value, "class_ids": []}
        return {"value": "yes", "class_ids": [c for c, answer in said.items() if answer.value == "yes"]}

    return told


def _asked(rt: "Runtime", dataset_id: str, query: dict[str, str]) -> tuple[Question, Dataset, Space]:
    question = views.question_of(rt, dataset_id, query.get("question", ""))
    return question, rt.dataset(dataset_id), rt.space(dataset_id, query.get("space", ""))


def _card(dataset: Dataset, uid: str, content_hash: str) -> dict[str, Any]:
    return {"uid": uid, "hash": content_hash, "caption": dataset.text("caption", dataset.row_of[uid])}


def _answer(answer: CurrentAnswer | None) -> dict[str, Any] | None:
    return None if answer is None else {"value": answer.value, "class_id": answer.class_id}
