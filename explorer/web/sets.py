"""Sets of pictures that a link names: a group, a selection, or the pictures of one answer that are asked again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, NotFound
from explorer.learning.questions import Question
from explorer.learning.standing import RESOLVE
from explorer.space import Space
from explorer.web import selections

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime


@dataclass(frozen=True)
class PictureSet:
    """`rows`: (m,) int64 rows of one space, in the order to show them. `again`: their answers are to be given anew."""

    rows: np.ndarray
    words: str
    policy: str
    again: str = ""
    """The class whose pictures these are, when they are asked again; "*" whatever they have been answered with."""


def cluster_set(method: str, which: int, space: Space) -> str:
    """The `set=` of a group; a group belongs to the generation of the space it was made in."""
    return f"cluster:{method}:{which}:{space.generation}"


def picture_set(
    rt: "Runtime", dataset: Dataset, space: Space, question: Question | None, text: str, titled: bool = True
) -> PictureSet:
    """What `set=` names: cluster:METHOD:NUMBER:GENERATION, selection:ID, differ:ID (a selection of pictures that two
    ways of looking take for different things: each is answered by itself), answered:CLASS:EVENT, or resolve (what
    people differ about).

    Without `titled` a group is not called by its title, which takes seconds to find the first time.

    Raises BadInput for another form, NotFound for what is not there (any more).
    """
    kind, _, rest = text.partition(":")
    if kind == "cluster":
        return _cluster(rt, dataset, space, rest, titled)
    if kind in ("selection", "differ"):
        uids, words = selections.load(rt.catalog, dataset.id, rest)
        rows = [space.rows[uid] for uid in uids if uid in space.rows]
        return PictureSet(np.array(rows, np.int64), words or f"{len(rows):,} selected pictures", kind)
    if kind == RESOLVE and question is not None:
        rows = [space.rows[uid] for uid in rt.answers.apart(question.id) if uid in space.rows]
        return PictureSet(np.array(rows, np.int64), "People say different things of these", RESOLVE, "*")
    if kind == "answered" and question is not None:
        return _answered(rt, space, question, rest)
    raise BadInput(
        "A set of pictures is a group, a selection, or the pictures of one answer; go back and choose again."
    )


def _answered(rt: "Runtime", space: Space, question: Question, rest: str) -> PictureSet:
    """The pictures of an answer that have not been asked again since event `SEQ`: what a split answer is taken from."""
    class_id, _, after = rest.partition(":")
    name = question.class_of(class_id).name
    last = int(after) if after.isdecimal() else rt.answers.latest_seq(question.id)
    if question.kind == "attributes":
        said, _ = rt.answers.attributes_with_seq(question.id)
        held = {uid: each[class_id] for uid, each in said.items() if class_id in each}
    else:
        held = {uid: a for uid, a in rt.answers.current(question.id).items() if a.class_id == class_id}
    old = [uid for uid, answer in held.items() if answer.value == "yes" and answer.seq <= last]
    rows = np.sort(np.array([space.rows[uid] for uid in old if uid in space.rows], np.int64))
    return PictureSet(rows, f"Answered “{name}” before", "split", class_id)


def _cluster(rt: "Runtime", dataset: Dataset, space: Space, rest: str, titled: bool) -> PictureSet:
    method, _, which = rest.partition(":")
    number, _, generation = which.partition(":")
    if method not in space.clusters or not number.isdecimal():
        raise NotFound("There is no such group; choose one on the Groups page.")
    if generation and generation != str(space.generation):
        raise NotFound("The groups have been made anew meanwhile; choose one on the Groups page.")
    rows = np.flatnonzero(space.clusters[method].to_numpy() == int(number))
    if not len(rows):
        raise NotFound("There is no such group; choose one on the Groups page.")
    words = f"Group {number}"
    if titled:
        titles = {card.id: card.title for card in rt.cluster_cards(dataset.id, space.key, method)}
        words = f"The group “{titles[int(number)]}”" if int(number) in titles else words
    return PictureSet(selections.nearest_first(space.vectors, rows), words, "cluster")
