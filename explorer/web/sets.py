"""Sets of pictures that a link names: a group, a selection, or the pictures of one answer that are asked again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, NotFound
from explorer.learning.questions import Question
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
    """The class whose pictures these are, when they are asked again."""


def cluster_set(method: str, which: int, space: Space) -> str:
    """The `set=` of a group; a group belongs to the generation of the space it was made in."""
    return f"cluster:{method}:{which}:{space.generation}"


def picture_set(
    rt: "Runtime", dataset: Dataset, space: Space, question: Question | None, text: str, titled: bool = True
) -> PictureSet:
    """What `set=` names: cluster:METHOD:NUMBER:GENERATION, selection:ID or answered:CLASS.

    Without `titled` a group is not called by its title, which takes seconds to find the first time.

    Raises BadInput for another form, NotFound for what is not there (any more).
    """
    kind, _, rest = text.partition(":")
    if kind == "cluster":
        return _cluster(rt, dataset, space, rest, titled)
    if kind == "selection":
        uids, words = selections.load(rt.catalog, dataset.id, rest)
        rows = [space.rows[uid] for uid in uids if uid in space.rows]
        return PictureSet(np.array(rows, np.int64), words or f"{len(rows):,} selected pictures", "selection")
    if kind == "answered" and question is not None:
        held = rt.answers.current(question.id).items()
        found = [space.rows[uid] for uid, a in held if a.value == "yes" and a.class_id == rest and uid in space.rows]
        name = next((c.name for c in question.classes if c.id == rest), "")
        if not name and not found:
            raise NotFound("This answer does not belong to the question (any more).")
        rows_ = np.sort(np.array(found, np.int64))
        return PictureSet(rows_, f"Answered “{name}” before" if name else "Answered before", "review", rest)
    raise BadInput(
        "A set of pictures is a group, a selection, or the pictures of one answer; go back and choose again."
    )


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
