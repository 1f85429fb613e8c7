"""What the Compare page asks about: the answers that judge, the ways of looking that know them; work done meanwhile."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import streamlit as st

from explorer.collection import own
from explorer.collection.dataset import Dataset
from explorer.extractors.registry import card_of
from explorer.space import SpaceRecipe
from explorer.web import comparing
from explorer.web.looks_shelf import Way, family_name, present_of, title, ways
from explorer.web.results import Asked
from explorer.web.runtime import Runtime


@dataclass(frozen=True)
class Question:
    """A question (of several attributes: one of them) with the answers that were given one by one.

    `y` (m,) places in `names`, `groups` (m,) near-duplicates, in the order of `uids`.
    """

    asked: Asked
    uids: list[str]
    y: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(cls, asked: Asked) -> "Question":
        judgement = asked.judgement
        part, at = judgement.part, judgement.witnesses
        uids = [judgement.space.uids[row] for row in part.rows[at]]
        return cls(asked, uids, part.y[at], part.groups[at])

    @property
    def rt(self) -> Runtime:
        return self.asked.rt

    @property
    def dataset(self) -> Dataset:
        return self.asked.dataset

    @property
    def names(self) -> list[str]:
        return list(self.asked.judgement.names)

    @property
    def guessing(self) -> float:
        """What guessing would have right, each answer counted alike."""
        return 1 / len(np.unique(self.y))

    @cached_property
    def ways(self) -> dict[str, Way]:
        """By the feature's key: those that have seen every answered picture."""
        found = ways(self.rt, self.dataset.id)
        places = present_of(self.rt, self.dataset.id).places
        rows = np.array([places[uid] for uid in self.uids if uid in places], np.int64)
        return {way.key: way for way in found.values() if way.mask[rows].all()}

    @property
    def candidates(self) -> list[str]:
        """Keys of those that are compared: all but layers that were only tried, which have a chart of their own."""
        return sorted(key for key, way in self.ways.items() if way.whole or "@" not in way.name)

    def key(self, *more: Hashable) -> Hashable:
        """Under which work for these answers is kept."""
        asked = self.asked
        scores = asked.judgement.scores
        return (asked.dataset.id, asked.question.id, asked.attribute, scores.seq, len(self.uids), *more)


def worked_out(key: Hashable, work: Callable[[], Any], words: str) -> Any:
    """What the work gives; None, with `words` on the page, while it is done in the background. Raises what it did.

    Without `words` another part of the page waits for the same.
    """
    future = comparing.begin(key, work)
    if not future.done():
        if words:
            waiting(key, words)
        return None
    return future.result()


def waiting(key: Hashable, words: str) -> None:
    """A word on the page until work in the background is done; then the page is drawn anew."""
    _waiting(key, words, [True])


@st.fragment(run_every=0.7)
def _waiting(key: Hashable, words: str, first: list[bool]) -> None:
    future = comparing.begun(key)
    if first:
        # not within the run that draws the page: what it has told the browser so far would be lost, also which
        # collection is chosen
        first.clear()
    elif future is None or future.done():
        st.rerun()
    st.caption(f":material/hourglass_top: {words}")


def sees(name: str) -> str:
    """In one line what the way of looking of this name sees."""
    if own.is_own(name):
        return own.CARDS[family_name(name)].sees
    card = card_of(name)
    return card.sees if card else ""


@dataclass(frozen=True)
class Side:
    """One of two ways of looking that are held against each other."""

    key: str
    """Of the feature, or of the space that joins several."""
    title: str
    recipe: SpaceRecipe
    space: str
    """Key of its space; "" while none is built."""


def sides(rt: Runtime, dataset_id: str) -> dict[str, Side]:
    """Everything that has seen every picture: features by themselves, and the other spaces that are built; those with
    a map first."""
    found: dict[str, Side] = {}
    alone = set()
    for name, way in ways(rt, dataset_id).items():
        alone.add(way.space)
        if way.whole:
            found[way.key] = Side(way.key, title(name), SpaceRecipe(((way.key, 1.0),)), way.space)
    for info in rt.space_keys(dataset_id):
        if info.key not in alone:
            recipe = rt.space(dataset_id, info.key).recipe
            found[info.key] = Side(info.key, info.title, recipe, info.key)
    return dict(sorted(found.items(), key=lambda each: not each[1].space))
