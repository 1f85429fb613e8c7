"""The file that carries a question elsewhere: its layout, and every check that it must pass before it is believed.

JSON with, in order: `format` and `version`; `question` (name, kind, note); `collection` (name, number of pictures, a
fingerprint of their contents) or null; `classes` (name, note, none, examples, merged); `people` (names); `events`, each
naming its class, its person, its batch and the event that it takes back by their places in the file; `classifier` or
null. Nothing in it is executed or unpickled.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from explorer.errors import BadInput
from explorer.learning.answers import AnswerEvent, Value, check_event
from explorer.learning.class_changes import check_none
from explorer.learning.question_rows import (
    KINDS,
    MAX_CLASSES,
    class_names,
    clean_examples,
    clean_name,
    clean_note,
    storable,
)

FORMAT = "dataset-explorer question"
VERSION = 2
"""The first knows no steps but centring and length; a file that needs no more is still written as one of those."""
MAX_BYTES = 500_000_000
MAX_EVENTS = 1_000_000
MAX_PEOPLE = 10_000
MAX_NUMBERS = 4_000_000
"""Weights of a classifier: 20,000 numbers a picture and 200 classes."""
_MAX_REGION = 20_000
_LATEST = 1e11
_REQUIRED = object()
_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}
_WORDS[list] = "a list"


@dataclass(frozen=True)
class PortableClassifier:
    """A linear classifier with what it needs elsewhere: scores are `space vectors @ weights + bias`."""

    recipe: Mapping[str, Any]
    """`SpaceRecipe.as_json()`: feature keys with their weights, and the steps."""
    means: np.ndarray
    """(sum of the features' numbers,) float32: what they are centred by, one after the other (`Transform.means`)."""
    weights: np.ndarray
    """(d, C) float32"""
    bias: np.ndarray
    """(C,) float32; -inf for a class without an answer"""
    class_ids: tuple[str, ...]
    temperature: float
    threshold: float | None = None
    dims: tuple[int, ...] = ()
    """Numbers of each feature; () in an older file, where they are known for one feature alone."""
    axes: tuple[np.ndarray, ...] = ()
    """(dim, k) float32 for each feature: the main directions of a space that keeps only those (`Transform.axes`)."""

    @property
    def version(self) -> int:
        """Of the file that can carry it."""
        return 1 if list(self.recipe["steps"]) in (["l2"], ["centre", "l2"]) else 2


@dataclass(frozen=True)
class PortableClass:
    name: str
    note: str
    none: bool
    examples: tuple[tuple[str, str], ...]
    """(uid, content hash, "" if not known)"""
    into: int | None
    """Place of the class that it was merged into."""
    after: int
    """Number of events before that."""
    person: int | None
    """Who merged it."""


@dataclass(frozen=True)
class PortableQuestion:
    """A document that has passed. The ids in the events (class, person, batch, undone event) are places, as text."""

    name: str
    kind: str
    note: str
    collection: str
    fingerprint: str
    classes: tuple[PortableClass, ...]
    people: tuple[str, ...]
    events: tuple[tuple[AnswerEvent, float], ...]
    """Each with the time it was given."""
    classifier: PortableClassifier | None


def read_document(content: bytes | str) -> Any:
    """Parse JSON from outside. Raises BadInput for what is too large, broken, too deep, or holds no-numbers."""
    if len(content) > MAX_BYTES:
        raise _bad(f"it has {len(content):,} bytes, {MAX_BYTES:,} are possible")
    try:
        return json.loads(content, parse_constant=_no_number)
    except RecursionError as error:
        raise _bad("its objects lie too deep in each other") from error
    except ValueError as error:
        raise _bad(f"it is not whole JSON ({error})") from error


def check_document(document: Any) -> PortableQuestion:
    """Believe nothing of a document until all of it has been looked at. Raises BadInput, one sentence."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _bad(f"its 'format' is not '{FORMAT}'")
    version = _field(document, "version", int, "the file")
    if version > VERSION:
        raise _bad(f"it is of version {version}, this program reads {VERSION}; update the program")
    if version < 1:
        raise _bad(f"there is no version {version}")
    question = _field(document, "question", dict, "the file")
    kind = _field(question, "kind", str, "the question")
    if kind not in KINDS:
        raise _bad(f"its kind of question, '{kind[:40]}', is none of {', '.join(KINDS)}")
    collection = _field(document, "collection", dict, "the file", {})
    people = _list(document, "people", MAX_PEOPLE)
    events = _list(document, "events", MAX_EVENTS)
    try:
        names = tuple(
            storable(_field(_object(one, f"person {n}"), "name", str, f"person {n}")[:200], "name")
            for n, one in enumerate(people)
        )
        classes = _classes(_list(document, "classes", 2 * MAX_CLASSES), kind, len(names), len(events))
        return PortableQuestion(
            name=clean_name(_field(question, "name", str, "the question"), "question"),
            kind=kind,
            note=clean_note(_field(question, "note", str, "the question", "")),
            collection=storable(_field(collection, "name", str, "the collection", "")[:200], "name"),
            fingerprint=_field(collection, "fingerprint", str, "the collection", "")[:64],
            classes=classes,
            people=names,
            events=_events(events, len(classes), len(names)),
            classifier=_classifier(_field(document, "classifier", dict, "the file", None), classes),
        )
    except BadInput as error:
        raise error if str(error).startswith(_OPENING) else _bad(str(error).rstrip(".")) from error


def _classes(raw: list[Any], kind: str, people: int, events: int) -> tuple[PortableClass, ...]:
    found = []
    for n, one in enumerate(raw):
        where = f"class {n}"
        one = _object(one, where)
        examples = [_object(each, f"an example of {where}") for each in _list(one, "examples", 1_000, [])]
        pairs = {_field(each, "uid", str, where): _field(each, "content_hash", str, where, "") for each in examples}
        merged = _field(one, "merged", dict, where, None)
        into = _place(merged, "into", len(raw), where) if merged else None
        after = _place(merged, "after", events + 1, where) if merged else 0
        found.append(
            PortableClass(
                name=clean_name(_field(one, "name", str, where), "class"),
                note=clean_note(_field(one, "note", str, where, "")),
                none=_field(one, "none", bool, where, False),
                examples=tuple((uid, pairs[uid]) for uid in clean_examples(list(pairs))),
                into=into,
                after=after or 0,
                person=_place(merged, "person", people, where, None) if merged else None,
            )
        )
    for n, each in enumerate(found):
        at, steps = each, 0
        while at.into is not None:
            at, steps = found[at.into], steps + 1
            if steps > len(found):
                raise _bad(f"class {n} is merged into itself in the end")
    live = [one for one in found if one.into is None]
    class_names([one.name for one in live], [])
    if len(live) > MAX_CLASSES:
        raise _bad(f"it has {len(live)} classes, {MAX_CLASSES} are possible")
    if any(one.none for one in live):
        check_none(kind)
    if sum(one.none for one in live) > 1:
        raise _bad('two of its classes mean "none of these"')
    return tuple(found)


def _events(raw: list[Any], classes: int, people: int) -> tuple[tuple[AnswerEvent, float], ...]:
    found: list[tuple[AnswerEvent, float]] = []
    for n, one in enumerate(raw):
        where = f"event {n}"
        one = _object(one, where)
        region = _field(one, "region", dict, where, None)
        if region is not None and len(_dumped(region, where)) > _MAX_REGION:
            raise _bad(f"the region of {where} is too long")
        class_place, batch = _place(one, "class", classes, where, None), _place(one, "batch", MAX_EVENTS, where, None)
        undoes = _place(one, "undoes", n, where, None)
        event = AnswerEvent(
            client_event_id=str(n),
            question_id="imported",
            uid=_field(one, "uid", str, where),
            value=cast(Value, _field(one, "value", str, where)),
            class_id=None if class_place is None else str(class_place),
            region=region,
            content_hash=_field(one, "content_hash", str, where, ""),
            person_id=str(_place(one, "person", people, where)),
            space=_field(one, "space", str, where, ""),
            blind=_field(one, "blind", bool, where, False),
            policy=_field(one, "policy", str, where, ""),
            probability=_field(one, "probability", float, where, None),
            batch_id=None if batch is None else str(batch),
            undoes=None if undoes is None else str(undoes),
        )
        at = _field(one, "at", float, where)
        if not 0 <= at <= _LATEST:
            raise _bad(f"'at' of {where} is no time")
        try:
            check_event(event)
        except BadInput as error:
            raise _bad(f"{where}: {str(error).rstrip('.').removesuffix('; nothing was recorded')}") from error
        if undoes is not None and (event.uid, event.person_id) != (found[undoes][0].uid, found[undoes][0].person_id):
            raise _bad(f"{where} takes back an answer of another person, or about another picture")
        found.append((event, at))
    return tuple(found)


def classifier_json(classifier: PortableClassifier, place_of: Mapping[str, int]) -> dict[str, Any]:
    """As it stands in the file; `place_of`: class id -> place of the class in the file."""
    return {
        "recipe": dict(classifier.recipe),
        "classes": [place_of[class_id] for class_id in classifier.class_ids],
        "dim": len(classifier.weights),
        "dims": list(classifier.dims),
        "means": _packed(classifier.means),
        "axes": [{"width": each.shape[1], "numbers": _packed(each)} for each in classifier.axes],
        "weights": _packed(classifier.weights),
        "bias": [float(value) if np.isfinite(value) else None for value in classifier.bias],
        "temperature": float(classifier.temperature),
        "threshold": None if classifier.threshold is None else float(classifier.threshold),
    }


def _classifier(raw: dict[str, Any] | None, classes: tuple[PortableClass, ...]) -> PortableClassifier | None:
    from explorer.space.recipe import SpaceRecipe  # brings the search libraries

    if raw is None:
        return None
    where = "the classifier"
    recipe = _field(raw, "recipe", dict, where)
    _list(recipe, "features", 100)
    try:
        weights_finite = all(math.isfinite(float(weight)) for _, weight in recipe["features"])
        made = SpaceRecipe.from_json(recipe).as_json() if weights_finite else recipe
        named = all(isinstance(key, str) and 0 < len(key) <= 500 for key, _ in made["features"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise _bad("the recipe of the classifier's space is not understood") from error
    if not (weights_finite and named):
        raise _bad("the recipe of the classifier's space is not understood")
    places = [_place({"class": place}, "class", len(classes), where) for place in _list(raw, "classes", MAX_CLASSES)]
    if len(set(places)) != len(places) or any(classes[int(place or 0)].into is not None for place in places):
        raise _bad("the classifier names a class twice, or one that was merged")
    dim, count = _field(raw, "dim", int, where), len(places)
    if dim < 1 or dim * max(1, count) > MAX_NUMBERS:
        raise _bad(f"the classifier's weights for {dim:,} numbers a picture and {count} classes are too many")
    bias = _list(raw, "bias", MAX_CLASSES)
    if len(bias) != count:
        raise _bad(f"the classifier has {count} classes and {len(bias)} biases")
    temperature = _field(raw, "temperature", float, where)
    threshold = _field(raw, "threshold", float, where, None)
    if not 0 < temperature < 1e6 or (threshold is not None and not 0 <= threshold <= 1):
        raise _bad("the classifier's temperature or threshold is out of range")
    dims, axes = _fitted(raw, made, dim)
    numbers = [-math.inf if b is None else _field({"bias": b}, "bias", float, where) for b in bias]
    with np.errstate(over="ignore"):
        biases = np.array(numbers, np.float32)
    if np.isposinf(biases).any():
        raise _bad("a bias of the classifier is too large")
    return PortableClassifier(
        recipe=made,
        means=_unpacked(_field(raw, "means", str, where), sum(dims) or dim, "means"),
        weights=_unpacked(_field(raw, "weights", str, where), dim * count, "weights").reshape(dim, count),
        bias=biases,
        class_ids=tuple(str(place) for place in places),
        temperature=temperature,
        threshold=threshold,
        dims=dims,
        axes=axes,
    )


def _fitted(raw: dict[str, Any], recipe: dict[str, Any], dim: int) -> tuple[tuple[int, ...], tuple[np.ndarray, ...]]:
    """The numbers of each feature and its main directions, which together must give vectors of `dim` numbers."""
    from explorer.space.recipe import SpaceRecipe

    made, count = SpaceRecipe.from_json(recipe), len(recipe["features"])
    dims = tuple(_field({"dims": each}, "dims", int, "the classifier") for each in _list(raw, "dims", 100, []))
    tables = [_object(each, "the classifier's directions") for each in _list(raw, "axes", 100, [])]
    if not dims and count == 1 and not made.axes:
        dims = (dim,)
    if dims and (len(dims) != count or min(dims) < 1 or sum(dims) > MAX_NUMBERS):
        raise _bad("the classifier says nothing sensible of its features' numbers")
    if len(tables) != (count if made.axes else 0) or (tables and not dims):
        raise _bad("the classifier's space keeps main directions, and the file has others or none of them")
    widths = [_field(each, "width", int, "the classifier's directions") for each in tables]
    if tables and (min(widths) < 1 or sum(a * b for a, b in zip(dims, widths, strict=True)) > MAX_NUMBERS):
        raise _bad("the classifier's directions are too many")
    if sum(widths or dims) not in (0, dim):
        raise _bad(
            f"the classifier's features make {sum(widths or dims):,} numbers a picture, its weights are for {dim:,}"
        )
    axes = [
        _unpacked(_field(each, "numbers", str, "the classifier's directions"), rows * width, "directions")
        for each, rows, width in zip(tables, dims, widths, strict=bool(tables))
    ]
    return dims, tuple(one.reshape(-1, width) for one, width in zip(axes, widths, strict=True))


def _packed(numbers: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, "<f4").tobytes()).decode()


def _unpacked(text: str, count: int, what: str) -> np.ndarray:
    """(count,) float32."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(f"the {what} of the classifier are not base64") from error
    if len(content) != 4 * count:
        raise _bad(f"the classifier has {len(content):,} bytes of {what}; {4 * count:,} were to be expected")
    numbers = np.frombuffer(content, "<f4").astype(np.float32)
    if not np.isfinite(numbers).all():
        raise _bad(f"the {what} of the classifier hold values that are no numbers")
    return numbers


def _field(table: Mapping[str, Any], name: str, kind: type, where: str, default: Any = _REQUIRED) -> Any:
    """The value under a name, of that type and finite; the default if it is missing or null."""
    value = table.get(name)
    if value is None:
        if default is _REQUIRED:
            raise _bad(f"{where} lacks '{name}'")
        return default
    if not isinstance(value, (int, float) if kind is float else kind) or (isinstance(value, bool) and kind is not bool):
        raise _bad(f"'{name}' of {where} is not {_WORDS[kind]}")
    if kind is not float:
        return value
    try:
        number = float(cast(float, value))
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _bad(f"'{name}' of {where} is not a finite number")
    return number


def _list(table: Mapping[str, Any], name: str, most: int, default: Any = _REQUIRED) -> list[Any]:
    found: list[Any] = _field(table, name, list, "the file", default)
    if len(found) > most:
        raise _bad(f"it has {len(found):,} under '{name}', {most:,} are possible")
    return found


def _place(table: Mapping[str, Any], name: str, count: int, where: str, default: Any = _REQUIRED) -> int | None:
    found: int | None = _field(table, name, int, where, default)
    if found is not None and not 0 <= found < count:
        raise _bad(f"'{name}' of {where} points at nothing in the file")
    return found


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad(f"{where} is not an object")
    return value


def _dumped(value: Any, where: str) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise _bad(f"{where} holds what JSON cannot carry") from error


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


_OPENING = "This file cannot be imported: "


def _bad(reason: str) -> BadInput:
    return BadInput(f"{_OPENING}{reason}. Nothing was imported.")
