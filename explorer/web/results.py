"""What the Results page asks about: a question with its judgement, and what is kept of the choices made there."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import streamlit as st

from explorer.collection.dataset import Dataset
from explorer.errors import ExplorerError
from explorer.learning.judgement import Judgement
from explorer.learning.questions import Question
from explorer.sharing.access import Person, Scope, authorise
from explorer.space import Space
from explorer.web import state
from explorer.web.runtime import Runtime
from explorer.web.settings import of_classes

TARGETS = {"90": "90 % found", "95": "95 % found", "99": "99 % found"}
DEFAULT_TARGET = "95"
DEFAULT_THRESHOLD = 0.5
_log = logging.getLogger(__name__)
_kept: WeakKeyDictionary[Judgement, dict[Any, Any]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Asked:
    """A question (of several attributes: one of them) as it stands, and who looks at it."""

    rt: Runtime
    person: Person
    dataset: Dataset
    space: Space
    question: Question
    attribute: str
    judgement: Judgement
    class_id: str = ""
    """The class that the list and the finish line are about."""

    @property
    def place(self) -> int:
        """Where `class_id` stands among the judgement's classes."""
        return 1 if self.attribute else self.question.class_ids.index(self.class_id)

    @property
    def name(self) -> str:
        return self.judgement.names[self.place]

    @property
    def key(self) -> str:
        """For widgets: what is shown is another thing when this changes."""
        return f"{self.question.id}-{self.attribute}-{self.space.key}"

    def keep(self, **settings: Any) -> None:
        """Store settings with the question. Raises Refused for somebody who may not change it."""
        authorise(state.me(), "edit", Scope(self.dataset.id, self.question.id))
        self.rt.questions.set_settings(self.question.id, **settings)

    def keep_of_class(self, setting: str, value: Any) -> None:
        """Store `value` under this class in the setting, a dictionary by class id."""
        known = of_classes(self.rt.questions.get(self.question.id), setting)
        self.keep(**{setting: known | {self.class_id: value}})


def chosen_threshold(question: Question, class_id: str) -> float:
    """Of the link, else as kept with the question, else one half."""
    try:
        threshold = float(state.get("t") or "nan")
    except ValueError:
        threshold = -1.0
    if 0 <= threshold <= 1:
        return threshold
    return of_classes(question, "thresholds").get(class_id, DEFAULT_THRESHOLD)


def chosen_target(question: Question, class_id: str) -> str:
    """One of TARGETS: of the link, else as kept with the question, else 95."""
    kept = f"{100 * of_classes(question, 'targets').get(class_id, 0.0):.0f}"
    return next((target for target in (state.get("target"), kept) if target in TARGETS), DEFAULT_TARGET)


def once(judgement: Judgement, key: Any, make: Callable[[], Any]) -> Any:
    """What `make` gives, computed once for this judgement; forgotten with it when an answer or the space changes."""
    held = _kept.setdefault(judgement, {})
    if key not in held:
        held[key] = make()
    return held[key]


@st.fragment
def part(body: Callable[[Asked], None], asked: Asked) -> None:
    """A part of the page that runs by itself, and whose failure is a sentence in its place. It asks anew who looks: the
    page may have been open for longer than the link that led to it."""
    state.require("look", asked.dataset.id, asked.question.id)
    try:
        body(asked)
    except ExplorerError as error:
        state.shown(error)
    except Exception:
        _log.exception("a part of the Results page failed: %s", body.__name__)
        st.error("This part could not be worked out; the rest of the page stands. The server's log says why.")
