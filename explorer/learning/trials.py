"""The trial log: every combination of ways of looking that was tried on a question, and what came of it.

A trial names extractors, not the files of one collection, so that it can be tried again on today's answers or on those
it was tried on, with a part less or one more, or on another collection. How it is judged is how the Compare page
judges: answers given one by one, each by the fit that has not seen it nor its near-duplicates.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

import numpy as np
import sqlalchemy as sa

from explorer.catalog.database import Catalog
from explorer.catalog.schema import new_id, questions
from explorer.catalog.schema import trials as table
from explorer.collection import own
from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, NotFound
from explorer.extractors import registry
from explorer.learning.answers import AnswerStore
from explorer.learning.comparison import MOST
from explorer.learning.looks import look_of_recipe
from explorer.learning.methods import METHODS, NOT_LINEAR, compare
from explorer.learning.paired import answers_of, balanced, hits, left_out
from explorer.learning.question_rows import Question, get_question, storable
from explorer.learning.standing import Walk
from explorer.learning.training import MANY_AT_ONCE, at_most
from explorer.space import list_spaces, open_space
from explorer.space.duplicates import joined
from explorer.space.recipe import SpaceRecipe

MAX_NOTE = 500


@dataclass(frozen=True)
class Combination:
    """What can be tried: extractors by name with weights, the steps of their space, and a method."""

    features: tuple[tuple[str, float], ...]
    """(extractor name, weight), kept in the order of the names with weights that sum to one."""
    steps: tuple[str, ...] = ("centre", "l2")
    method: str = "ridge"
    """One of `methods.METHODS` or `NOT_LINEAR`."""

    def __post_init__(self) -> None:
        """Raises BadInput for what cannot be tried."""
        names = [name for name, _ in self.features]
        if not names or len(set(names)) < len(names):
            raise BadInput("A trial needs at least one way of looking, and each of them once.")
        if self.method not in METHODS | NOT_LINEAR:
            raise BadInput(f"There is no method '{self.method}'. There are: {', '.join(METHODS | NOT_LINEAR)}.")
        recipe = SpaceRecipe(tuple((name, float(weight)) for name, weight in self.features), tuple(self.steps))
        total = sum(weight for _, weight in recipe.features)
        weighed = tuple(sorted((name, round(weight / total, 6)) for name, weight in recipe.features))
        object.__setattr__(self, "features", weighed)
        object.__setattr__(self, "steps", recipe.steps)

    @property
    def words(self) -> str:
        """For the screen: "60 % What it shows + 40 % Colours; pca:64; Random forest"."""
        shares = [f"{100 * weight:.0f} % " if len(self.features) > 1 else "" for _, weight in self.features]
        looks = " + ".join(share + _title(name) for share, (name, _) in zip(shares, self.features, strict=True))
        more = [step for step in self.steps if step not in ("centre", "l2")]
        more += ["not centred"] if "centre" not in self.steps else []
        more += [(METHODS | NOT_LINEAR)[self.method]] if self.method != "ridge" else []
        return "; ".join([looks, *more])


@dataclass(frozen=True)
class Trial:
    """A combination with what came of it. `id` and `created` are empty until it is recorded."""

    question_id: str
    dataset_id: str
    features: tuple[tuple[str, float], ...]
    steps: tuple[str, ...]
    method: str
    space: str
    """Key of the space that was tried, whether it was built or not: the extractors with their weights' hashes."""
    seq: int
    """Number of the last answer that it knew."""
    answers: int
    """Answers that judged it."""
    balanced_accuracy: float
    low: float
    """`low` to `high`: 95 % interval."""
    high: float
    attribute: str = ""
    """Of a question of attributes, the class id that was asked about."""
    person: str = ""
    note: str = ""
    id: str = ""
    created: float = 0.0

    @property
    def combination(self) -> Combination:
        return Combination(self.features, self.steps, self.method)

    @property
    def fingerprint(self) -> str:
        """The same for trials that differ in their outcome, person, note and answers alone."""
        said = json.dumps([self.attribute, self.features, self.steps, self.method, self.space])
        return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class TrialStore:
    """The trials of all questions."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def record(self, trial: Trial) -> Trial:
        """Keep a trial; the same combination on the same answers is kept once, as it was first recorded."""
        return self.record_all([trial])[0]

    def record_all(self, trials: Sequence[Trial]) -> list[Trial]:
        """`record` of several in one transaction. Raises NotFound for an unknown question, BadInput for a note or name
        that cannot be stored or figures that are none; then nothing is written."""
        trials = [_checked(trial) for trial in trials]
        kept = []
        with self.catalog.writing() as connection:
            for trial in trials:
                lock = sa.select(questions.c.id).where(questions.c.id == trial.question_id).with_for_update()
                if connection.execute(lock).one_or_none() is None:
                    raise NotFound(f"There is no question '{trial.question_id}': reload the page.")
                same = sa.and_(
                    table.c.question_id == trial.question_id,
                    table.c.seq == trial.seq,
                    table.c.fingerprint == trial.fingerprint,
                )
                row = connection.execute(sa.select(table).where(same)).one_or_none()
                if row is None:
                    made = replace(trial, id=new_id(), created=self.catalog.now(connection))
                    connection.execute(table.insert().values(**asdict(made), fingerprint=made.fingerprint))
                else:
                    made = _trial(row)
                kept.append(made)
        return kept

    def list(self, question_id: str, attribute: str | None = None) -> list[Trial]:
        """The newest first; with `attribute`, of that one alone."""
        wanted = sa.select(table).where(table.c.question_id == question_id)
        if attribute is not None:
            wanted = wanted.where(table.c.attribute == attribute)
        with self.catalog.reading() as connection:
            rows = connection.execute(wanted.order_by(table.c.created.desc(), table.c.id)).all()
        return [_trial(row) for row in rows]

    def get(self, trial_id: str) -> Trial:
        """Raises NotFound."""
        with self.catalog.reading() as connection:
            row = connection.execute(sa.select(table).where(table.c.id == trial_id)).one_or_none()
        if row is None:
            raise NotFound(f"There is no trial '{trial_id}': it may belong to another workspace.")
        return _trial(row)


def attempt(
    store: TrialStore,
    dataset: Dataset,
    question_id: str,
    combination: Combination,
    seq: int | None = None,
    attribute: str = "",
    person: str = "",
    note: str = "",
) -> Trial:
    """Try a combination on the answers as of event `seq` (None: now), and record it.

    Returns what came of it now, under the id of the trial that is on record. Raises NotFound for an unknown question,
    or features that these pictures lack; BadInput for answers of fewer than two classes, or too few for the method.
    """
    with store.catalog.reading() as connection:
        question = get_question(connection, question_id)
    if question.dataset_id != dataset.id:
        raise NotFound(f"The question '{question.name}' belongs to another collection than {dataset.name}.")
    answers = AnswerStore(store.catalog)
    walk = answers.as_of(question_id, answers.latest_seq(question_id) if seq is None else seq)
    uids, y = _witnesses(dataset, question, attribute, walk)
    if len(np.unique(y)) < 2:
        raise BadInput("Answer at least one picture of each of two classes first.")
    recipe = recipe_of(dataset, combination, uids)
    score = _judged(look_of_recipe(dataset, recipe, uids).vectors, y, _groups(dataset, uids), combination.method)
    tried = Trial(
        question_id, dataset.id, combination.features, combination.steps, combination.method, recipe.key,
        walk.seq, len(uids), *score, attribute, person, note,
    )  # fmt: skip
    kept = store.record(tried)
    return replace(tried, id=kept.id, created=kept.created, person=kept.person, note=kept.note)


def replay(
    store: TrialStore, dataset: Dataset, trial: Trial, as_of: Literal["now", "then"] = "now", person: str = ""
) -> Trial:
    """The same combination on today's answers, or again on those it was tried on.

    "then" gives the recorded figures again unless something else has changed since: classes merged, pictures gone,
    edited or added (which moves the middle of the collection), a feature computed by other weights. Raises as
    `attempt`.
    """
    seq = trial.seq if as_of == "then" else None
    return attempt(store, dataset, trial.question_id, trial.combination, seq, trial.attribute, person, trial.note)


def transfer(
    store: TrialStore, trial: Trial, dataset: Dataset, question_id: str, attribute: str = "", person: str = ""
) -> Trial:
    """The same combination on another collection, with a question of its own. Raises as `attempt`; NotFound names the
    way of looking that the other collection lacks."""
    note = f"as tried on '{trial.dataset_id}'"
    return attempt(store, dataset, question_id, trial.combination, None, attribute, person, note)


def ablations(trial: Trial) -> list[tuple[str, Combination]]:
    """What is left without each of its parts, with the words for it: "without Colours", "without pca:64". Steps that
    others need stay."""
    of = trial.combination
    found = []
    for name, _ in of.features if len(of.features) > 1 else ():
        rest = tuple(each for each in of.features if each[0] != name)
        found.append((f"without {_title(name)}", Combination(rest, of.steps, of.method)))
    for step in of.steps:
        try:
            rest_of = tuple(each for each in of.steps if each != step)
            found.append((f"without {step}", Combination(of.features, rest_of, of.method)))
        except BadInput:
            continue
    return found


def with_one_more(trial: Trial, name: str, weight: float | None = None) -> Combination:
    """The same with one more way of looking, weighing as much as the others do on average unless told. Raises BadInput
    if it is among them already."""
    of = trial.combination
    return Combination((*of.features, (name, weight or 1 / len(of.features))), of.steps, of.method)


def recipe_of(dataset: Dataset, combination: Combination, uids: Sequence[str] = ()) -> SpaceRecipe:
    """The combination as a space of this dataset: its extractors' features, of several the one that knows most of
    `uids` and was begun last. Raises NotFound for one that is not computed, or not for all of them."""
    items = dataset.items.iloc[[dataset.row_of[uid] for uid in uids]]
    chosen: dict[str, str] = {}
    for name, _ in combination.features:
        lacking = []
        for spec in dataset.feature_specs():
            if name in (spec.extractor, spec.key):
                store = dataset.features(spec)
                begun = (store.folder / "manifest.json").stat().st_mtime_ns
                lacking.append((len(store.missing(own.row_names(spec, items))), -begun, spec.key))
        if not lacking:
            raise NotFound(f"{dataset.name} has not been looked at by “{_title(name)}” yet: compute it there first.")
        missing, _, chosen[name] = min(lacking)
        if missing:
            raise NotFound(
                f"“{_title(name)}” has not looked at {missing:,} of the {len(uids):,} answered pictures of "
                f"{dataset.name} yet: run it on them first."
            )
    return SpaceRecipe(tuple((chosen[name], weight) for name, weight in combination.features), combination.steps)


def _witnesses(dataset: Dataset, question: Question, attribute: str, walk: Walk) -> tuple[list[str], np.ndarray]:
    """The pictures whose answers judge, in the order of the collection, with their (m,) classes: there still, unchanged
    since, and answered one by one."""
    several = question.kind == "attributes"
    if several != bool(attribute) or (several and attribute not in question.class_ids):
        raise BadInput("Of a question of attributes, choose one that is to be tried; other questions have none.")
    place_of = {class_id: place for place, class_id in enumerate(question.class_ids)}
    present = dataset.present()
    uids, y = [], []
    for uid, content in zip(present["uid"].tolist(), present["content_hash"].tolist(), strict=True):
        answer = walk.latest.get(uid)
        if answer is None or (answer.content_hash and answer.content_hash != content):
            continue
        if uid in walk.provenance and walk.provenance[uid].policy.startswith(MANY_AT_ONCE):
            continue
        if several:
            said = walk.attributes.get(uid, {}).get(attribute)
            if said is not None and said.value in ("yes", "no"):
                uids.append(uid)
                y.append(int(said.value == "yes"))
        elif answer.value == "yes" and answer.class_id in place_of:
            uids.append(uid)
            y.append(place_of[answer.class_id])
    return uids, np.array(y, np.int64)


def _groups(dataset: Dataset, uids: Sequence[str]) -> np.ndarray:
    """(m,) int: the same for pictures that are the same, by their bytes or as the first space that was built found."""
    place = {uid: number for number, uid in enumerate(uids)}
    first_of: dict[object, int] = {}
    contents = dataset.items["content_hash"]
    pairs = [(number, first_of.setdefault(contents.iloc[dataset.row_of[uid]], number)) for uid, number in place.items()]
    spaces = list_spaces(dataset)
    if spaces:
        space = open_space(dataset, spaces[0].key)
        for row, group in zip(space.duplicates["row"].tolist(), space.duplicates["group"].tolist(), strict=True):
            number = place.get(space.uids[row])
            if number is not None:
                pairs.append((number, first_of.setdefault(("near", group), number)))
    return joined(len(uids), pairs)


def _judged(vectors: np.ndarray, y: np.ndarray, groups: np.ndarray, method: str) -> tuple[float, float, float]:
    """Balanced accuracy with its interval, as `comparison` and `methods.compare` have it."""
    if method != "ridge":
        compared = compare(vectors, y, groups, also=method in NOT_LINEAR)
        found = next(one for one in compared if one.method == method)
        return found.balanced_accuracy, found.low, found.high
    rows = at_most(y, MOST)
    place, groups = answers_of(y[rows], groups[rows], len(rows))
    gram = np.asarray(vectors[rows] @ vectors[rows].T, np.float64)
    return balanced(hits(left_out(gram, place, groups), place), place, groups)


def _checked(trial: Trial) -> Trial:
    """With its features in the one order and scale that `Combination` gives them."""
    storable(" ".join([trial.note, trial.person, *(name for name, _ in trial.features)]), "trial")
    if len(trial.note) > MAX_NOTE:
        raise BadInput(f"The note is {len(trial.note):,} characters long; {MAX_NOTE} are possible.")
    if not all(np.isfinite([trial.balanced_accuracy, trial.low, trial.high])) or trial.answers < 1 or trial.seq < 0:
        raise BadInput("What came of a trial must be numbers, from at least one answer.")
    of = trial.combination
    return replace(trial, features=of.features, steps=of.steps)


def _trial(row: "sa.engine.Row[tuple[object, ...]]") -> Trial:
    values = {field.name: getattr(row, field.name) for field in fields(Trial)}
    values["features"] = tuple((str(name), float(weight)) for name, weight in values["features"])
    values["steps"] = tuple(values["steps"])
    return Trial(**values)


def _title(name: str) -> str:
    return own.title_of(name) if own.is_own(name) else registry.title_of(name)
