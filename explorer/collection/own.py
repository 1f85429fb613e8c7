"""Features that belong to items and not to pixels: the user's own columns, and vectors computed elsewhere.

"columns:price,category" (or "columns" alone: every usable one) are columns of the dataset's table; "vectors:/FILE" are
rows of a file, found by the picture's key. Their rows are named by the uid instead of the content, so that copies of a
picture that the table tells apart stay apart.
"""

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.collection.items import META
from explorer.errors import BadInput
from explorer.extractors.base import Card, FeatureSpec

if TYPE_CHECKING:
    from explorer.collection.dataset import Dataset

CARDS = {
    "columns": Card(
        title="Your own columns",
        sees="What your table says of each picture: numbers, categories, dates; every column counts alike",
        ignores="the picture itself",
        licence="your own",
        aspect="columns",
    ),
    "vectors": Card(
        title="Your own vectors",
        sees="Whatever your own program saw: rows of numbers from a file, matched by the pictures' names",
        ignores="the picture itself",
        licence="your own",
        aspect="own",
    ),
}
WRITTEN = {"columns": "columns:NAME,NAME or columns", "vectors": "vectors:/PATH/FILE.npy, .npz or .parquet"}
MOST_COLUMNS, MOST_VALUES = 100, 40
"""Columns used at once, and values of a category that get a number of their own; the rest share one."""
_FEWEST = 2
"""A value that only one picture has says nothing about any other."""
_DATE = re.compile(r"([12]\d{3})-(0[1-9]|1[0-2])(-\d{2}.*)?")
_HEAVY = 2.0
"""Skewness above which a column without negative numbers is taken by its logarithm: prices, sizes, counts."""
_FAR = 4.0


def is_own(name: str) -> bool:
    """Is it a feature of items, such as "columns:price" or "vectors:/data/mine.npy"?"""
    return name.partition(":")[0] in CARDS


def title_of(name: str) -> str:
    """In plain words, e.g. "Your own columns (price, category)"."""
    family, _, argument = name.partition(":")
    shown = re.split(r"[/\\]", argument)[-1] if family == "vectors" else ", ".join(argument.split(","))
    return CARDS[family].title + (f" ({shown})" if shown else "")


def row_names(spec: FeatureSpec, items: pd.DataFrame) -> list[str]:
    """The names under which a store of this feature has the rows of a table of items: their content hashes, or, where
    a row belongs to an item, hashes of their uids."""
    if spec.rows == "content":
        return items["content_hash"].tolist()
    return [hashlib.blake2b(uid.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() for uid in items["uid"]]


def compute(dataset: "Dataset", name: str) -> FeatureSpec:
    """Compute an own feature for every present picture that lacks it, and say which it is.

    The identity holds a hash of all values used: a table or file that changed makes another feature, and rows of the
    two never mix. A file is read wherever the name says: names that come from a browser are checked before
    (`sharing.access.allowed_path`). Raises BadInput, NotFound, Busy.
    """
    from explorer.collection.own_vectors import read_vectors

    family, _, argument = name.partition(":")
    if family not in CARDS:
        raise BadInput(f"'{name}' is no feature of your own; those are: {'; '.join(WRITTEN.values())}.")
    with dataset.writing():
        present = dataset.present()
        if not len(present):
            raise BadInput(f"{dataset.name} has no pictures yet, so there is nothing to compute from {title_of(name)}.")
        if family == "columns":
            rows, mark = encoded(present, argument)
            has = np.arange(len(present))
        else:
            has, rows, mark = read_vectors(argument, present)
        spec = FeatureSpec(
            extractor=name,
            weights=mark,
            layer="",
            preprocessing="each column alike" if family == "columns" else "as they are",
            backend="none",
            precision="f32",
            dim=rows.shape[1],
            rows="item",
        )
        store = dataset.features(spec)
        names = row_names(spec, present.iloc[has])
        lacking = set(store.missing(names))
        with store.writer() as writer:
            for row_name, row in zip(names, rows, strict=True):
                if row_name in lacking:
                    writer.append(row_name, row)
    return spec


def encoded(items: pd.DataFrame, argument: str) -> tuple[np.ndarray, str]:
    """(n, d) float32 of the columns named, separated by commas ("": every usable one), and a hash of what went in.

    Each column's numbers vary by one in total, so that a category of forty values counts no more than a price. Raises
    BadInput for a column that is not there, or that says nothing.
    """
    there = [str(column).removeprefix(META) for column in items.columns if str(column).startswith(META)]
    names = _named(argument, there)
    digest = hashlib.blake2b(digest_size=16)
    blocks, reasons = [], []
    for name in names:
        column = items[META + name]
        block = _block(column)
        if isinstance(block, str):
            if argument:
                raise BadInput(f"The column '{name}' cannot be compared by: {block}.")
            reasons.append(f"'{name}': {block}")
            continue
        blocks.append(block)
        digest.update(repr((name, column.dtype.kind)).encode("utf-8", "surrogatepass"))
    if not blocks:
        why = "; ".join(reasons) or "there are none"
        raise BadInput(f"None of the collection's own columns can be compared by ({why}).")
    rows = np.concatenate(blocks, axis=1).astype(np.float32)
    digest.update("\n".join(items["uid"]).encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(rows, "<f4").tobytes())
    return rows, digest.hexdigest()


def _named(argument: str, there: list[str]) -> list[str]:
    if not argument:
        return there[:MOST_COLUMNS]
    names = [argument] if argument in there else list(dict.fromkeys(each.strip() for each in argument.split(",")))
    for name in names:
        if name not in there:
            has = ", ".join(there) or "none; they come from a table, or from the folders' names"
            raise BadInput(f"The collection has no column '{name}'. Its own columns are: {has}.")
    if len(names) > MOST_COLUMNS:
        raise BadInput(f"At most {MOST_COLUMNS} columns can be compared by at once, not {len(names)}.")
    return names


def _block(column: pd.Series) -> np.ndarray | str:
    """(n, k) of one column, centred, with a total variance of one; or why it is of no use."""
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(np.float64, na_value=np.nan)
        if len(np.unique(numbers[np.isfinite(numbers)])) < 2:
            return "it has the same number everywhere"
        parts = _numeric(numbers)
    else:
        texts = column.astype("str").where(column.notna(), None)
        filled = texts.dropna()
        dates = filled.str.fullmatch(_DATE.pattern)
        if len(filled) and dates.mean() > 0.9:
            parts = _dates(texts)
        else:
            counts = filled.value_counts()
            counts = counts[counts >= _FEWEST]
            if len(filled) and not len(counts):
                return "hardly any two pictures have the same value, as with names or numbers of objects"
            parts = _categories(texts, counts)
    block = np.stack(parts, axis=1)
    block -= block.mean(axis=0)
    spread = float((block**2).sum(axis=1).mean())
    if spread < 1e-12:
        return "it says the same of every picture"
    return block / np.sqrt(spread)


def _numeric(numbers: np.ndarray) -> list[np.ndarray]:
    """Robustly scaled: the median at zero, half of the pictures within about two thirds; a number that is missing lies
    at the median and has a flag."""
    missing = ~np.isfinite(numbers)
    known = numbers[~missing]
    if known.min() >= 0 and _skewness(known) > _HEAVY:
        numbers, known = np.log1p(np.where(missing, 0, numbers)), np.log1p(known)
    low, middle, high = np.percentile(known, [25, 50, 75])
    unit = (high - low) / 1.349 or float(known.std())
    parts = [np.where(missing, 0.0, np.clip((numbers - middle) / unit, -_FAR, _FAR))]
    return [*parts, missing.astype(float)] if missing.any() else parts


def _skewness(values: np.ndarray) -> float:
    centred = values - values.mean()
    return float((centred**3).mean() / max(float((centred**2).mean()), 1e-30) ** 1.5)


def _categories(texts: pd.Series, counts: pd.Series) -> list[np.ndarray]:
    """One number for each frequent value, one for all others, one for none."""
    frequent = sorted(counts.sort_values(ascending=False, kind="stable").index[:MOST_VALUES])
    parts = [(texts == value).to_numpy(float) for value in frequent]
    parts.append((texts.notna() & ~texts.isin(frequent)).to_numpy(float))
    parts.append(texts.isna().to_numpy(float))
    return [part for part in parts if part.any()] or [np.zeros(len(texts))]


def _dates(texts: pd.Series) -> list[np.ndarray]:
    """The time in years, and the time of year as a circle, so that December lies beside January."""
    found = texts.fillna("").str.extract(_DATE)
    year, month = (pd.to_numeric(found[place]).to_numpy(np.float64) for place in (0, 1))
    when = year + (month - 1) / 12
    angle = 2 * np.pi * (month - 1) / 12
    round_year = [np.where(np.isnan(angle), 0.0, turn(angle)) for turn in (np.sin, np.cos)]
    if len(np.unique(when[~np.isnan(when)])) < 2:
        return round_year
    return [*_numeric(when), *round_year]


def superseded(dataset: "Dataset", spec: FeatureSpec) -> list[FeatureSpec]:
    """Earlier features of the same name, computed from a table or file that has changed since."""
    return [
        each
        for each in dataset.feature_specs()
        if each.rows == "item" and each.extractor == spec.extractor and each.key != spec.key
    ]
