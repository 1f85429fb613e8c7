"""Everything that the pictures of one map can be filtered by, kept at hand: columns, groups, answers, scores.

Facets that are no columns of the user have names that begin with @: @kmeans:SPACE.GENERATION and @hdbscan:… (a group
belongs to the map it was found on), @odd, @copies, @answer:QUESTION, @guess:QUESTION, @score:QUESTION:CLASS, of a
question where several may be true @answer:QUESTION:CLASS, and @selection:ID, which has the value "in". A column whose
name begins so is @column:NAME.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.collection.dataset import Dataset
from explorer.collection.facets import Condition, Facet, facet_of, failures, shares_facet, values_facet
from explorer.errors import BadInput, Busy, NotFound
from explorer.learning.questions import Question
from explorer.learning.standing import WHOLE
from explorer.space import Space
from explorer.web import selections
from explorer.web.filters import Filter

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

MOST_SHELVES = 4
_MOST_MASKS, _MOST_FACETS = 24, 64
COLUMNS, FOUND = "Columns", "What was found"
METHODS = {"kmeans": "Groups (even)", "hdbscan": "Groups (dense)"}
ODD = {"the oddest 1 %": 0.01, "the next 4 %": 0.05, "the next 5 %": 0.1, "the rest": 1.0}
COPIES = {"exact": "the same file more than once", "near": "nearly the same as another", "once": "there only once"}
OTHER_ANSWERS = {"unsure": "not sure", "skip": "skipped", "unusable": "cannot be used"}
NOT_ANSWERED = "not answered"


@dataclass(frozen=True)
class Named:
    """A facet that there is: what it goes by in a filter, what it is called, and under which heading it stands."""

    name: str
    title: str
    about: str


class _Titles(Mapping[str, str]):
    """What groups are called, found when first asked for: it takes long, and what passes a filter needs none."""

    def __init__(self, find: Callable[[], dict[str, str]]) -> None:
        self._find = find

    @cached_property
    def _found(self) -> dict[str, str]:
        return self._find()

    def __getitem__(self, value: str) -> str:
        return self._found[value]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class Shelf:
    """The facets of one dataset in the rows of one space, both as they were opened. Thread-safe."""

    def __init__(self, rt: "Runtime", dataset: Dataset, space: Space) -> None:
        self.rt, self.dataset, self.space, self.n = rt, dataset, space, len(space.uids)
        self.items = space.items(dataset)
        self.columns = dict.fromkeys(dataset.columns())
        self.present = (self.items["status"] == "ok").to_numpy(bool)
        self.present.flags.writeable = False
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}
        self._facets: OrderedDict[str, tuple[Any, Facet]] = OrderedDict()
        self._masks: OrderedDict[tuple[Any, ...], np.ndarray] = OrderedDict()
        self._shown: OrderedDict[str, tuple[tuple[Any, ...], np.ndarray]] = OrderedDict()

    def names(self) -> Iterator[Named]:
        """What there is to filter by, in the order to show it. A filter may also name groups of another map."""
        for column in self.columns:
            yield Named(f"@column:{column}" if column.startswith("@") else column, column, COLUMNS)
        for method, title in METHODS.items():
            if method in self.space.clusters:
                yield Named(self._of_this_map(method), title, FOUND)
        yield Named("@odd", "Odd ones", FOUND)
        if len(self.space.duplicates):
            yield Named("@copies", "Copies", FOUND)
        for question in self.rt.questions.list(self.dataset.id):
            several = question.kind == "attributes"
            if not several:
                yield Named(f"@answer:{question.id}", "Answers", question.name)
                yield Named(f"@guess:{question.id}", "Best guess", question.name)
            for each in question.classes:
                if several:
                    yield Named(f"@answer:{question.id}:{each.id}", f"“{each.name}”: answers", question.name)
                yield Named(f"@score:{question.id}:{each.id}", f"Likely “{each.name}”", question.name)

    def facet(self, name: str) -> tuple[Any, Facet]:
        """A facet and the version of what it was made from. Raises NotFound for what is not there (any more)."""
        made, version, make = self._maker(name)
        with self._lock:
            making = self._making.setdefault(made, threading.Lock())
        with making:  # nobody waits for a facet but who asks for it
            held = self._facets.get(made)
            if held is None or held[0] != version:
                held = version, make()
        with self._lock:
            self._facets[made] = held
            self._facets.move_to_end(made)
            while len(self._facets) > _MOST_FACETS:
                self._facets.popitem(last=False)
        return held

    def passing(self, wanted: Filter) -> dict[str, np.ndarray]:
        """For each facet of the filter, and for its words as "", (n,) bool: what passes.

        A column that is gone filters nothing out; of anything else that is gone NotFound says so.
        """
        found = {}
        for name, condition in wanted.conditions().items():
            if not name.startswith("@") and name not in self.columns:
                continue
            found[name] = self._kept(name, condition)
        if wanted.words:
            found[""] = self._words(wanted.words)
        return found

    def shown(self, wanted: Filter) -> np.ndarray:
        """(n,) bool: pictures that are still there and pass the filter; the same array until something changes."""
        if not wanted:
            return self.present
        text, parts = str(wanted), tuple(self.passing(wanted).values())
        with self._lock:
            held = self._shown.get(text)
            if held is None or [id(part) for part in held[0]] != [id(part) for part in parts]:
                keep = self.present & (failures(self.n, parts) == 0)
                keep.flags.writeable = False  # it is kept, and many are given it
                held = self._shown[text] = parts, keep
                while len(self._shown) > _MOST_MASKS:
                    self._shown.popitem(last=False)
            return held[1]

    def counter(self, wanted: Filter) -> Callable[[str], np.ndarray]:
        """Gives, of a facet by its name, (values,) int64: the pictures of each value that pass all other filters."""
        passing = self.passing(wanted)
        fails = failures(self.n, [self.present, *passing.values()])
        none = np.zeros(self.n, np.uint8)

        def counts(name: str) -> np.ndarray:
            own = passing.get(name)
            return self.facet(name)[1].counts(fails, none if own is None else own.view(np.uint8) ^ 1)

        return counts

    def totals(self, name: str) -> np.ndarray:
        """(values,) int64: the pictures of each value that are still there."""
        version, _ = self.facet(name)
        return self._mask((name, version, "totals"), lambda: self.counter(Filter())(name))

    def _kept(self, name: str, condition: Condition) -> np.ndarray:
        version, facet = self.facet(name)
        return self._mask((name, version, condition), lambda: facet.passing(condition))

    def _mask(self, key: tuple[Any, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
        held = self._masks.get(key)
        made = make() if held is None else held
        with self._lock:
            held = self._masks.setdefault(key, made)
            self._masks.move_to_end(key)
            while len(self._masks) > _MOST_MASKS:
                self._masks.popitem(last=False)
        return held

    def _words(self, words: str) -> np.ndarray:
        import pyarrow as pa
        import pyarrow.compute as pc

        keep = np.ones(self.n, bool)
        for word in pc.utf8_lower(pa.scalar(words)).as_py().split():
            keep &= self._mask(("", word), partial(self._holding, word))
        return self._mask(("", "all", words), lambda: keep)

    def _holding(self, word: str) -> np.ndarray:
        import pyarrow.compute as pc

        return np.asarray(pc.match_substring(self._texts, word).to_numpy(zero_copy_only=False), bool)

    @cached_property
    def _texts(self) -> Any:
        """Caption and name of each row, in small letters once rather than at each word."""
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = pa.large_string()
        both = [pa.array(self.items[column], kind) for column in ("caption", "uid")]
        return pc.utf8_lower(pc.binary_join_element_wise(*both, pa.scalar("\n", kind), null_handling="replace"))

    def _of_this_map(self, method: str) -> str:
        return f"@{method}:{self.space.key}.{self.space.generation}"

    def _maker(self, name: str) -> tuple[str, Any, Callable[[], Facet]]:
        """What a facet is kept as, the version of what it is made from, and how."""
        kind, _, rest = name.partition(":")
        if not name.startswith("@") or kind == "@column":
            column = rest if kind == "@column" else name
            if column not in self.columns:
                raise NotFound(f"This collection has no column '{column}' (any more); take it out of the filter.")
            return f"@column:{column}", 0, lambda: facet_of(self.items[f"meta:{column}"])
        if kind[1:] in METHODS:
            return name, 0, partial(self._groups, kind[1:], self._map_of(rest))
        if kind == "@selection":
            return name, 0, lambda: self._selection(rest)
        if name == "@odd":
            return name, 0, self._odd
        if name == "@copies":
            return name, 0, self._copies
        question_id, _, class_id = rest.partition(":")
        if kind not in ("@answer", "@guess", "@score") or not question_id:
            raise BadInput(f"The filter names '{name[:80]}', which is nothing to filter by; take it out.")
        question = self.rt.questions.get(question_id)
        if question.dataset_id != self.dataset.id:
            raise NotFound("The filter names a question of another collection; take it out.")
        several = question.kind == "attributes"
        if (class_id and class_id not in question.class_ids) or (kind == "@score") > bool(class_id):
            raise NotFound("The filter names an answer that the question does not have (any more); take it out.")
        if several if kind == "@guess" else kind == "@answer" and several != bool(class_id):
            raise BadInput("The filter asks something of a question that it cannot say; take it out.")
        version = self.rt.answers.latest_seq(question_id), tuple((each.id, each.name) for each in question.classes)
        if kind == "@answer":
            return name, version, lambda: self._answers(question, class_id)
        return name, version, lambda: self._scores(question, class_id, version[0])

    def _map_of(self, mark: str) -> Space:
        """The space that a group was found in: this one or another of the collection, in the same generation."""
        key, _, generation = mark.rpartition(".")
        space: Space = self.space if key == self.space.key else self.rt.space(self.dataset.id, key)
        if str(space.generation) != generation:
            raise NotFound("The groups have been made anew meanwhile; take them out of the filter and choose again.")
        return space

    def _groups(self, method: str, space: Space) -> Facet:
        labels = space.clusters[method].to_numpy()
        known, counts = np.unique(labels[labels >= 0], return_counts=True)
        order = known[np.argsort(-counts, kind="stable")]
        place = np.full(int(labels.max(initial=-1)) + 2, len(order))  # the last for -1: in no group
        place[order] = np.arange(len(order))
        if space is not self.space:
            rows = space.rows.of(self.space.uids)
            labels = np.where(rows >= 0, labels[rows], -1)
        numbers = [str(number) for number in order]
        return values_facet(place[labels], numbers, _Titles(partial(self._titles, method, space, numbers)))

    def _titles(self, method: str, space: Space, numbers: list[str]) -> dict[str, str]:
        titles = {str(card.id): card.title for card in self.rt.cluster_cards(self.dataset.id, space.key, method)}
        return {**{number: titles.get(number, f"group {number}") for number in numbers}, "": "in no group"}

    def _selection(self, view_id: str) -> Facet:
        uids, words = selections.load(self.rt.catalog, self.dataset.id, view_id)
        rows = self.space.rows.of(uids)
        codes = np.ones(self.n, np.int64)
        codes[rows[rows >= 0]] = 0
        return values_facet(codes, ["in"], {"in": words})

    def _odd(self) -> Facet:
        share = np.empty(self.n)
        share[self.space.outliers["row"].to_numpy()] = self.space.outliers["rank"].to_numpy() / self.n
        return values_facet(np.searchsorted([*ODD.values()], share), [*ODD])

    def _copies(self) -> Facet:
        table, values = self.space.duplicates, list(COPIES)
        codes = np.full(self.n, values.index("once"))
        codes[table["row"].to_numpy()] = np.where(table["kind"] == "exact", 0, 1)
        return values_facet(codes, values, COPIES)

    def _answers(self, question: Question, class_id: str) -> Facet:
        if class_id:
            values = {"yes": "yes", "no": "no"}
            said = self.rt.answers.attributes_with_seq(question.id)[0]
            held = {uid: each.get(class_id) or each.get(WHOLE) for uid, each in said.items()}
            told = {uid: answer.value for uid, answer in held.items() if answer is not None}
        else:
            values = {each.id: each.name for each in question.classes}
            current = self.rt.answers.current(question.id)
            told = {uid: str(a.class_id) if a.value == "yes" else a.value for uid, a in current.items()}
        labels = {**values, **OTHER_ANSWERS, "none": NOT_ANSWERED}
        places = {value: place for place, value in enumerate(labels)}
        codes = np.full(self.n, places["none"])
        for uid, value in told.items():
            row = self.space.rows.get(uid)
            if row is not None:
                codes[row] = places.get(value, places["none"])
        return values_facet(codes, list(labels), labels)

    def _scores(self, question: Question, class_id: str, seq: int) -> Facet:
        scores = self.rt.live.scores(self.dataset.id, question.id, self.space.key, seq)
        if not scores.ready:
            raise BadInput("Nothing is sorted yet: answer a few pictures of the question first.")
        if scores.space is not self.space:
            raise Busy("The collection is being renewed at this moment; try again.")
        if class_id:
            return shares_facet(np.ascontiguousarray(scores.probabilities[:, scores.class_ids.index(class_id)]))
        labels = dict(zip(scores.class_ids, scores.class_names, strict=True))
        return values_facet(scores.probabilities.argmax(axis=1), list(labels), labels)


def shelf(rt: "Runtime", dataset: Dataset, space: Space) -> Shelf:
    """The shelf of a space in its newest generation, kept."""
    with rt.shelves_lock:
        key = (dataset.id, space.key)
        held: Shelf | None = rt.shelves.get(key)
        if held is None or held.dataset is not dataset or held.space is not space:
            held = rt.shelves[key] = Shelf(rt, dataset, space)
        rt.shelves.move_to_end(key)
        while len(rt.shelves) > MOST_SHELVES:
            rt.shelves.popitem(last=False)
        return held
