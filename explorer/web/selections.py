"""Selections kept by the server under a short id, so that a link can carry one of any size."""

import numpy as np
import pandas as pd

from explorer.catalog import Catalog
from explorer.catalog.views import ViewStore
from explorer.collection.dataset import Dataset
from explorer.errors import BadInput

MAX_UIDS = 200_000
_AT_ONCE = 16_384


def save(catalog: Catalog, dataset_id: str, uids: list[str], words: str) -> str:
    """Keep the pictures of a selection; the same pictures get the same id. `words` says where it came from."""
    if len(uids) > MAX_UIDS:
        raise BadInput(f"A selection holds at most {MAX_UIDS:,} pictures; this one has {len(uids):,}.")
    return ViewStore(catalog).save(dataset_id, "selection", {"uids": uids, "words": words})


def load(catalog: Catalog, dataset_id: str, view_id: str) -> tuple[list[str], str]:
    """The uids of a kept selection and the words for it. Raises NotFound, also for another dataset's."""
    state = ViewStore(catalog).load(view_id, dataset_id).state
    return list(state["uids"]), str(state["words"])


def items_of(dataset: Dataset, uids: list[str]) -> pd.DataFrame:
    """The items of a selection that are still there, in the order of the selection."""
    rows = dataset.row_of.of(uids)
    found = dataset.items.iloc[rows[rows >= 0]]
    return found[found["status"] != "gone"].reset_index(drop=True)


def nearest_first(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of a selection, (m,) int, ordered so that its most typical pictures come first."""
    if len(rows) == 0:
        return rows
    chunks = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    middle = np.sum([np.asarray(vectors[some], np.float32).sum(0) for some in chunks], axis=0) / len(rows)
    scores = np.concatenate([np.asarray(vectors[some], np.float32) @ middle for some in chunks])
    return rows[np.argsort(-scores, kind="stable")]
