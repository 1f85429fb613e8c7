"""A filter and a histogram among a million pictures: what the app's routes take, and DuckDB over the same columns.

Everything is asked of a running server over loopback, each time a filter that it has not met; Embedding Atlas 0.26 took
8 ms for a box and 9 ms for a histogram at a million rows the same way, on two other cores. DuckDB and pandas are asked
within the process, and so are the app's own functions once more, which is what the ratios compare.
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.running import ROOT, app_server
from benchmarks.synthetic import kinds_of, synthetic
from explorer.collection.dataset import Dataset
from explorer.web.filters import Filter
from explorer.workspace import Workspace

if TYPE_CHECKING:
    import duckdb

    from explorer.web.shelf import Shelf

TARGETS = {"filter_ms_p50.1m": "<= 30", "histogram_ms_p50.1m": "<= 30"}
DIM = 32
ROOMS, ARTISTS = 12, 50_000
WORDS = "tree house red blue river portrait woman man cat dog boat mountain sky night lamp table".split()
TIMES = 20
"""Filters of each kind."""
_WITHIN = 10
OF_COLUMNS = ("values", "numbers", "dates", "letters", "three columns", "words")
"""Kinds that DuckDB is asked as well."""


def run() -> dict[str, Any]:
    """EXPLORER_BENCH_WORKSPACE keeps the collection; EXPLORER_BENCH_PICTURES is another number of pictures."""
    n = int(os.environ.get("EXPLORER_BENCH_PICTURES") or 1_000_000)
    size = "1m" if n == 1_000_000 else str(n)
    root = Path(os.environ.get("EXPLORER_BENCH_WORKSPACE") or ROOT / "build" / "benchmarks") / "filters"
    root.mkdir(parents=True, exist_ok=True)
    dataset = _collection(Workspace(root), n)
    question = _answered(Workspace(root), dataset)
    served, first = _served(root, dataset, question)
    within = _within(root, dataset)
    shown, counted = served["filter"], served["histogram"]
    ours, theirs = within["own"], within["duckdb, table in memory"]
    figures = {
        f"filter_ms_p50.{size}": _p50([one for each in shown.values() for one in each]),
        f"histogram_ms_p50.{size}": _p50([one for each in counted.values() for one in each]),
        f"ratio_to_duckdb.filter.{size}": theirs["filter"] / ours["filter"],
        f"ratio_to_duckdb.histogram.{size}": theirs["histogram"] / ours["histogram"],
    }
    detail = {
        "over_http_ms_p50": {what: {kind: _p50(took) for kind, took in each.items()} for what, each in served.items()},
        "first_use_of_a_facet_s": first,
        "within_the_process_ms_p50": within,
        "caches": "numba's compiled loops and the page cache warm; no filter is asked twice",
    }
    return {"figures": figures, "detail": detail}


def _collection(workspace: Workspace, n: int) -> Dataset:
    """A synthetic collection with columns of every sort, some without a value; made once."""
    dataset = synthetic(workspace, n, DIM)
    if dataset.columns():
        return dataset
    rng = np.random.default_rng(0)
    table = dataset.items
    heavy = 1 / np.arange(1, ARTISTS + 1)
    days = np.datetime64("1990-01-01") + rng.integers(0, 12_000, n)
    words = np.array(WORDS)[rng.integers(0, len(WORDS), (n, 2))]
    table["caption"] = pd.Series([f"{a} {b} {row}" for row, (a, b) in enumerate(words)], dtype="str")
    table["meta:room"] = pd.Series([f"room {room:02}" for room in rng.integers(0, ROOMS, n)], dtype="str")
    table["meta:year"] = np.where(rng.random(n) < 0.1, np.nan, rng.integers(1500, 2020, n))
    table["meta:rating"] = rng.normal(size=n)
    table["meta:taken"] = pd.Series(days.astype(str), dtype="str").mask(rng.random(n) < 0.1)
    artists = rng.choice(ARTISTS, n, p=heavy / heavy.sum())
    table["meta:artist"] = pd.Series([f"artist {artist:05}" for artist in artists], dtype="str")
    with dataset.writing():
        dataset.restore_items(table)
    return dataset


def _answered(workspace: Workspace, dataset: Dataset) -> tuple[str, str]:
    """A new question with two hundred answers: its id, and that of its first class."""
    from explorer.catalog import Catalog
    from explorer.learning.answers import AnswerEvent, AnswerStore
    from explorer.learning.questions import QuestionStore

    catalog = Catalog.open(workspace.catalog_url)
    for old in QuestionStore(catalog).list(dataset.id):
        QuestionStore(catalog).archive(old.id)
    question = QuestionStore(catalog).create(dataset.id, f"Even? {uuid.uuid4().hex[:8]}", ["even", "odd"])
    kinds, uids = kinds_of(dataset), dataset.items["uid"]
    rows = np.random.default_rng(1).choice(len(uids), 200, replace=False)
    events = [
        AnswerEvent(uuid.uuid4().hex, question.id, uids.iloc[row], "yes", question.class_ids[int(kinds[row]) % 2])
        for row in rows
    ]
    AnswerStore(catalog).record(events)
    catalog.close()
    return question.id, question.class_ids[0]


def _filters(groups: str, question: tuple[str, str], seed: int) -> Iterator[tuple[str, Filter]]:
    """`TIMES` filters of each kind in turn, no two alike, another set for another seed."""
    rng = np.random.default_rng(seed)
    answer, score = f"@answer:{question[0]}", f"@score:{question[0]}:{question[1]}"
    for _ in range(TIMES):
        rooms = tuple(f"room {room:02}" for room in rng.choice(ROOMS, 4, replace=False))
        rating = (round(float(rng.uniform(-2, 0)), 6), round(float(rng.uniform(0, 2)), 6))
        first, last = (str(np.datetime64("1990-01-01") + int(day)) for day in sorted(rng.integers(0, 12_000, 2)))
        likely = (round(float(rng.uniform(0.2, 0.9)), 6), None)
        themes = tuple(str(theme) for theme in rng.choice(24, 3, replace=False))
        letters = f"{rng.integers(0, 1_000):03}"
        yield "values", Filter({"room": rooms})
        yield "numbers", Filter(between={"rating": rating})
        yield "dates", Filter(between={"taken": (first, last)})
        yield "letters", Filter(has={"artist": letters})
        three = {"rating": (rating[0], None), "year": (1600, rating[1] + 1900)}
        yield "three columns", Filter({"room": rooms[:3]}, between=three)
        yield "words", Filter(words=f"{rng.choice(WORDS)} {letters}")
        yield "groups", Filter({groups: themes})
        yield "scores", Filter(between={score: likely})
        yield "not answered and likely", Filter({answer: ("none",)}, between={score: (likely[0] / 2, likely[0])})
        yield (
            "all of them",
            Filter({"room": rooms[1:], groups: themes[1:], answer: ("none",)}, "", {"rating": rating, score: likely}),
        )


def _served(root: Path, dataset: Dataset, question: tuple[str, str]) -> tuple[dict[str, Any], dict[str, float]]:
    """Milliseconds by route and kind of filter, over HTTP; and seconds until a facet was there for the first time."""
    import httpx

    generation, opened = 1, ["room", "year", "rating", "taken", "artist"]
    with app_server(root) as app, httpx.Client(base_url=app.url, timeout=600) as client:
        client.get("/enter", params={"token": app.token})
        space = _space_key(root, dataset)
        groups = f"@kmeans:{space}.{generation}"
        opened += [groups, "@odd", f"@answer:{question[0]}", f"@score:{question[0]}:{question[1]}"]

        def panel(wanted: Filter, *names: str) -> float:
            return fetched("filter.json", space=space, f=str(wanted), open=json.dumps(names))

        def shown(wanted: Filter) -> float:
            return fetched(f"map/{space}/{generation}/shown.bin", f=str(wanted))

        def fetched(path: str, **query: str) -> float:
            began = time.perf_counter()
            client.get(f"/x/{dataset.id}/{path}", params=query).raise_for_status()
            return 1e3 * (time.perf_counter() - began)

        first = {name.partition(":")[0]: panel(Filter(), name) / 1e3 for name in opened}
        shown(Filter(words="once"))
        found: dict[str, dict[str, list[float]]] = {"filter": {}, "histogram": {}, "nine histograms": {}}
        for kind, wanted in _filters(groups, question, 2):
            found["filter"].setdefault(kind, []).append(shown(wanted))
        for at, (kind, wanted) in enumerate(_filters(groups, question, 3)):
            one = opened[(at + at // 10) % len(opened)]  # every facet beside every kind of filter
            found["histogram"].setdefault(kind, []).append(panel(wanted, one))
        for kind, wanted in _filters(groups, question, 4):
            found["nine histograms"].setdefault(kind, []).append(panel(wanted, *opened))
    return found, {name: round(took, 3) for name, took in first.items()}


def _space_key(root: Path, dataset: Dataset) -> str:
    return next(path.parent.name for path in (root / dataset.id / "spaces").glob("*/manifest.json"))


def _within(root: Path, dataset: Dataset) -> dict[str, dict[str, float]]:
    """The same without a server: the app's own functions, DuckDB over Parquet and over a table in memory, pandas."""
    import duckdb

    from explorer.web.runtime import Runtime
    from explorer.web.shelf import shelf

    rt = Runtime(Workspace(root))
    space = rt.space(dataset.id, _space_key(root, dataset))
    own = shelf(rt, rt.dataset(dataset.id), space)
    parquet = max((dataset.root / "items").glob("*.parquet"))
    with duckdb.connect() as connection:
        connection.execute("create table items as select * from read_parquet(?)", [str(parquet)])
        asked: dict[str, tuple[Callable[[Filter], np.ndarray], Callable[[Filter], dict[str, int]]]] = {
            "own": (own.shown, lambda wanted: _own_histogram(own, wanted)),
            "duckdb, table in memory": _duckdb(connection, "items", []),
            "duckdb, Parquet": _duckdb(connection, "read_parquet(?)", [str(parquet)]),
            "pandas": _pandas(own.items),
        }
        took: dict[str, dict[str, list[float]]] = {name: {"filter": [], "histogram": []} for name in asked}
        pairs = zip(_filters("", ("", ""), 5), _filters("", ("", ""), 6), strict=True)
        for kind, wanted, other in [(kind, wanted, other) for (kind, wanted), (_, other) in pairs][: 10 * _WITHIN]:
            if kind not in OF_COLUMNS:
                continue
            answers = {}
            for name, (mask, histogram) in asked.items():
                began = time.perf_counter()
                keep = mask(wanted)
                between = time.perf_counter()
                counts = histogram(other)  # of another filter: nothing of this one is kept for it
                took[name]["filter"].append(1e3 * (between - began))
                took[name]["histogram"].append(1e3 * (time.perf_counter() - between))
                answers[name] = int(keep.sum()), {value: count for value, count in counts.items() if count}
            assert all(answer == answers["pandas"] for answer in answers.values()), (wanted, "the counts differ")
    return {name: {what: _p50(times) for what, times in each.items()} for name, each in took.items()}


def _own_histogram(own: "Shelf", wanted: Filter) -> dict[str, int]:
    counts = own.counter(wanted)("room")
    return dict(zip(own.facet("room")[1].values, counts.tolist(), strict=True))


def _where(wanted: Filter) -> tuple[str, list[Any]]:
    """The filter as SQL, its values bound."""
    parts: list[str] = ["status = 'ok'"]
    bound: list[Any] = []
    for column, values in wanted.values.items():
        parts.append(f'"meta:{column}" in ({", ".join("?" * len(values))})')
        bound += values
    for column, ends in wanted.between.items():
        for end, relation in zip(ends, (">=", "<="), strict=True):
            if end is not None:
                parts.append(f'"meta:{column}" {relation} ?')
                bound.append(end)
    for column, letters in wanted.has.items():
        parts.append(f'"meta:{column}" ilike ?')
        bound.append(f"%{letters}%")
    for word in wanted.words.split():
        parts.append("(caption ilike ? or uid ilike ?)")
        bound += [f"%{word}%"] * 2
    return " and ".join(parts), bound


def _duckdb(connection: "duckdb.DuckDBPyConnection", table: str, of: list[str]) -> Any:
    def mask(wanted: Filter) -> np.ndarray:
        where, bound = _where(wanted)
        found = connection.execute(f"select coalesce({where}, false) as keep from {table}", [*bound, *of]).fetchnumpy()
        return np.asarray(found["keep"], bool)

    def histogram(wanted: Filter) -> dict[str, int]:
        where, bound = _where(wanted.without("room"))
        sql = f'select "meta:room", count(*) from {table} where {where} group by 1'
        return dict(connection.execute(sql, [*of, *bound]).fetchall())

    return mask, histogram


def _pandas(items: pd.DataFrame) -> Any:
    def mask(wanted: Filter) -> np.ndarray:
        keep = items["status"] == "ok"
        for column, values in wanted.values.items():
            keep &= items[f"meta:{column}"].isin(values)
        for column, (low, high) in wanted.between.items():
            keep &= True if low is None else items[f"meta:{column}"] >= low
            keep &= True if high is None else items[f"meta:{column}"] <= high
        for column, letters in wanted.has.items():
            keep &= items[f"meta:{column}"].str.contains(letters, case=False, regex=False)
        for word in wanted.words.split():
            holds = [items[column].str.contains(word, case=False, regex=False) for column in ("caption", "uid")]
            keep &= holds[0] | holds[1]
        return keep.to_numpy(bool)

    def histogram(wanted: Filter) -> dict[str, int]:
        return {str(k): int(v) for k, v in items["meta:room"][mask(wanted.without("room"))].value_counts().items()}

    return mask, histogram


def _p50(times: list[float]) -> float:
    return round(float(np.median(times)), 2)


def markdown(result: dict[str, Any]) -> str:
    """A row for each kind of filter, then who else was asked."""
    served, within = result["detail"]["over_http_ms_p50"], result["detail"]["within_the_process_ms_p50"]
    lines = ["| ms, over HTTP | the map's filter | one histogram | nine |", "|---|---|---|---|"]
    for kind in served["filter"]:
        lines.append(f"| {kind} | {' | '.join(f'{served[what][kind]:.1f}' for what in served)} |")
    lines += ["", "| ms, within the process | filter | one histogram |", "|---|---|---|"]
    lines += [f"| {name} | {each['filter']:.1f} | {each['histogram']:.1f} |" for name, each in within.items()]
    return "\n".join(lines)
