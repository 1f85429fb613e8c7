"""The answered pictures as each way of looking sees them: what comparisons are made of."""

import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.collection import own
from explorer.errors import BadInput, NotFound
from explorer.extractors import registry
from explorer.space.recipe import SpaceRecipe, Transform, normalised

if TYPE_CHECKING:
    import pandas as pd

    from explorer.collection.dataset import Dataset
    from explorer.collection.features import FeatureStore

IMAGENET = {"lite0": 0.751, "lite1": 0.767, "lite2": 0.776}
"""Published ImageNet top-1 accuracy of networks that come with the program, as floating point: TensorFlow's
EfficientNet-Lite README (github.com/tensorflow/tpu, models/official/efficientnet/lite). To be set beside how well each
tells one's own classes apart, which need not follow it (Kornblith, Shlens & Le 2019)."""
_CHUNK = 16_384
_HELD = 64
_SAMPLE = 4_096
_SIDE = 32
_lock = threading.Lock()
_fitted: OrderedDict[tuple[object, ...], Transform] = OrderedDict()


@dataclass(frozen=True)
class Look:
    """One way of looking at the answered pictures."""

    key: str
    title: str
    vectors: np.ndarray
    """(m, d) float32, rows of length one, in the order of the answers"""


def looks_of(dataset: "Dataset", uids: Sequence[str], keys: Sequence[str] | None = None) -> list[Look]:
    """One look for each computed feature (or those of `keys`, in that order) that has rows for all these pictures:
    centred on everything it was computed for, of length one.

    The centre is computed once for as long as no row is added. Raises NotFound for a picture or a feature that is not
    there.
    """
    items = _items(dataset, uids)
    specs = {spec.key: spec for spec in dataset.feature_specs()}
    for key in keys or ():
        if key not in specs:
            raise NotFound(f"{dataset.name} has no feature '{key}'; run its extractor on some pictures first.")
    found = []
    for key in specs if keys is None else keys:
        store = dataset.features(key)
        names = own.row_names(specs[key], items)
        if not store.missing(names):
            fitted = _transform(SpaceRecipe(((key, 1.0),)), [store])
            vectors = fitted([store.get(names)]).astype(np.float32)
            found.append(Look(key, _title(specs[key].extractor), vectors))
    return found


def look_of_recipe(dataset: "Dataset", recipe: SpaceRecipe, uids: Sequence[str]) -> Look:
    """The answered pictures in a space, whether it has been built or not. Raises NotFound where a feature lacks one of
    them."""
    items = _items(dataset, uids)
    stores = [dataset.features(key) for key, _ in recipe.features]
    raw = [store.get(own.row_names(store.spec, items)) for store in stores]
    return Look(recipe.key, recipe.title, _transform(recipe, stores)(raw).astype(np.float32))


def raw_pixels(dataset: "Dataset", uids: Sequence[str]) -> Look:
    """The baseline that knows nothing: the thumbnails squeezed to 32 × 32, number by number, centred on these pictures.

    Raises NotFound for a picture that is not there or was never read.
    """
    from PIL import Image

    rows = []
    for uid, name in zip(uids, _items(dataset, uids)["content_hash"].tolist(), strict=True):
        thumb = dataset.pictures.thumb(name)
        if thumb is None:
            raise NotFound(f"There is no small picture of '{uid}' yet; run an extractor on the collection first.")
        with Image.open(io.BytesIO(thumb)) as picture:
            squeezed = picture.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
        rows.append(np.asarray(squeezed, np.float32).ravel())
    pixels = np.stack(rows) / 255
    return Look("raw-pixels", "The bare pixels", normalised(pixels - pixels.mean(axis=0)).astype(np.float32))


def _items(dataset: "Dataset", uids: Sequence[str]) -> "pd.DataFrame":
    if not len(uids):
        raise BadInput("Answer some pictures first; without answers there is nothing to compare.")
    lacking = [uid for uid in uids if uid not in dataset.row_of]
    if lacking:
        raise NotFound(f"There is no picture '{lacking[0]}' in {dataset.name}.")
    return dataset.items.iloc[[dataset.row_of[uid] for uid in uids]].reset_index(drop=True)


def _title(extractor: str) -> str:
    return own.title_of(extractor) if own.is_own(extractor) else registry.title_of(extractor)


def _transform(recipe: SpaceRecipe, stores: "list[FeatureStore]") -> Transform:
    """Fitted to all rows that the stores have; kept while none is added."""
    mark = tuple((str(store.folder), len(store), bytes(store.hashes()[-1:].tobytes())) for store in stores)
    with _lock:
        if (recipe, mark) in _fitted:
            _fitted.move_to_end((recipe, mark))
            return _fitted[recipe, mark]
    parts = []
    for number, store in enumerate(stores):
        alone, names = recipe.alone(number), store.hashes()
        total = np.zeros(store.dim)
        for start in range(0, len(names), _CHUNK):
            rows = store.get(names[start : start + _CHUNK])
            total += Transform.ahead(alone, rows).sum(axis=0, dtype=np.float64)
        every = max(1, -(-len(names) // _SAMPLE))
        parts.append(Transform.fit(alone, [total], len(names), [store.get(names[::every])] if alone.axes else ()))
    fitted = Transform.of_parts(recipe, parts)
    with _lock:
        _fitted[recipe, mark] = fitted
        while len(_fitted) > _HELD:
            _fitted.popitem(last=False)
    return fitted
