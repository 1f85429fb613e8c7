"""Features that belong to items: the user's own columns and vectors, alone and joined with what pictures show."""

import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from explorer.catalog import Catalog
from explorer.collection import own
from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, ExplorerError, Missing, NotFound
from explorer.extractors import load
from explorer.extractors.registry import load_like
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.live import LiveQuestions
from explorer.learning.questions import QuestionStore
from explorer.processing import process
from explorer.space import SpaceRecipe, build_space, list_spaces, open_space
from explorer.space.joined import JoinedVectors
from explorer.status import status
from explorer.workspace import Workspace

CLIPART = Path(__file__).parents[2] / "data" / "clipart"
COLOUR = load("colour")
N = 40
QUIET = (lambda _: None, lambda: False)


def table(n: int = N) -> pd.DataFrame:
    """Forty objects, two of which share one photograph: a price, a kind, a date, a title, and what is constant."""
    rng = np.random.default_rng(0)
    kinds = np.array(["bowl", "vase", "plate"])[np.arange(n) % 3]
    return pd.DataFrame(
        {
            "id": [f"ob-{number:03d}" for number in range(n)],
            "image": [f"pictures/{0 if number == 1 else number:03d}.jpg" for number in range(n)],
            "price": np.where(np.arange(n) % 8 == 5, np.nan, np.exp(rng.normal(3, 2, n)).round(2)),
            "kind": np.where(np.arange(n) % 10 == 9, None, kinds),
            "made": [f"{1900 + number}-{1 + number % 12:02d}-15" for number in range(n)],
            "Größe": np.arange(n) * 10,
            "title": [f"Object number {number}" for number in range(n)],
            "museum": "ours",
        }
    )


def write(root: Path, rows: pd.DataFrame) -> None:
    rows.to_csv(root / "objects.csv", index=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    files = [path for kind in ("animals", "maps") for path in sorted((CLIPART / kind).glob("*.jpg"))[: N // 2]]
    for number, path in enumerate(files):
        shutil.copy(path, tmp_path / "pictures" / f"{number:03d}.jpg")
    write(tmp_path, table())
    return tmp_path


@pytest.fixture
def dataset(root: Path) -> Dataset:
    source = {"kind": "table", "path": str(root / "objects.csv"), "image_column": "image", "key_column": "id"}
    made = Dataset.create(Workspace(root / "workspace"), "Objects", source, "objects")
    made.rescan()
    return made


def run(dataset: Dataset, *names: str, **more: Any) -> dict[str, Any]:
    report = process(Workspace(dataset.root.parent), dataset.id, {"extractors": list(names), **more}, *QUIET)
    dataset.refresh()
    return report


def rows_of(dataset: Dataset, name: str) -> np.ndarray:
    spec = own.compute(dataset, name)
    return dataset.features(spec).get(own.row_names(spec, dataset.present()))


# --- columns ---


def test_numbers_categories_and_dates_become_numbers(dataset: Dataset) -> None:
    price, kind, made = (rows_of(dataset, f"columns:{name}") for name in ("price", "kind", "made"))
    there = dataset.present()["meta:price"].to_numpy()
    known = ~np.isnan(there)
    assert price.shape == (N, 2)
    order = np.argsort(there[known])
    assert (np.diff(price[known, 0][order]) >= 0).all()
    assert len(np.unique(price[~known], axis=0)) == 1
    assert price[~known, 1].min() > price[known, 1].max(), "what is missing has a flag"
    middle = price[known, 0].min() + 0.35 * np.ptp(price[known, 0])
    assert np.median(price[known, 0]) > middle, "prices are taken by their logarithm: most do not lie at one end"
    assert kind.shape == (N, 4)
    said = dataset.present()["meta:kind"].fillna("none").to_numpy()
    for value in np.unique(said):
        assert len(np.unique(kind[said == value], axis=0)) == 1
    assert len(np.unique(kind, axis=0)) == 4
    months = np.arange(N) % 12
    circle = made[:, -2:]
    december, january, june = (circle[months == month][0] for month in (11, 0, 5))
    assert np.linalg.norm(december - january) < 0.4 * np.linalg.norm(december - june)
    assert (np.diff(made[:, 0]) > -1e-3).all(), "later is more"


def test_each_column_counts_alike(dataset: Dataset) -> None:
    rows = rows_of(dataset, "columns")
    widths = [rows_of(dataset, f"columns:{name}").shape[1] for name in ("price", "kind", "made", "Größe")]
    assert rows.shape[1] == sum(widths), "titles and what is the same everywhere say nothing"
    edges = np.cumsum([0, *widths])
    for start, stop in itertools.pairwise(edges):
        block = rows[:, start:stop] - rows[:, start:stop].mean(axis=0)
        assert (block**2).sum(axis=1).mean() == pytest.approx(1, abs=0.01)
    assert np.allclose(rows[:, : widths[0]], rows_of(dataset, "columns:price"), atol=1e-2)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("columns:weight", "no column 'weight'.*price, kind, made"),
        ("columns:price,weight", "no column 'weight'"),
        ("columns:title", "'title' cannot be compared by: hardly any two"),
        ("columns:museum", "'museum' cannot be compared by: it says the same"),
        ("rows:price", "no feature of your own"),
    ],
)
def test_a_column_that_says_nothing_is_refused(dataset: Dataset, name: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        own.compute(dataset, name)
    assert not (dataset.root / "features").exists()


def test_a_changed_table_makes_another_feature(dataset: Dataset, root: Path) -> None:
    first = own.compute(dataset, "columns:price,kind")
    assert own.compute(dataset, "columns:price,kind").key == first.key
    assert (first.rows, first.extractor) == ("item", "columns:price,kind")
    changed = table()
    changed.loc[3, "museum"] = "theirs"
    write(root, changed)
    dataset.rescan()
    assert own.compute(dataset, "columns:price,kind").key == first.key, "a column that is not used"
    changed.loc[3, "price"] = 12.5
    write(root, changed)
    dataset.rescan()
    second = own.compute(dataset, "columns:price,kind")
    assert second.key != first.key
    assert own.superseded(dataset, second) == [first]
    with pytest.raises(Missing, match="what your own table says"):
        load_like(second)


def test_names_and_titles() -> None:
    assert all(map(own.is_own, ("columns", "columns:a,b", "vectors:/a.npy")))
    assert not any(map(own.is_own, ("colour", "timm:columns")))
    assert own.title_of("columns") == "Your own columns"
    assert own.title_of("columns:price,kind") == "Your own columns (price, kind)"
    assert own.title_of("vectors:/data/somewhere/mine.npy") == "Your own vectors (mine.npy)"
    assert {card.title for card in own.CARDS.values()} == {"Your own columns", "Your own vectors"}
    recipe = SpaceRecipe((("vectors-data-mine-npy-0123456789ab", 1.0), ("columns-größe-0123456789ab", 1.0)))
    assert recipe.title == "Your own vectors + Your own columns (größe)"
    assert recipe.key.isascii()


# --- vectors ---


def saved(root: Path, keys: list[str], vectors: np.ndarray, how: str) -> str:
    path = root / f"mine.{how.split()[0]}"
    if how == "npy":
        np.save(path, vectors)
        (root / "mine.keys.txt").write_text("\n".join(keys) + "\n", encoding="utf-8")
    elif how == "npz":
        np.savez(path, vectors=vectors, keys=np.array(keys))
    elif how == "npz bytes":
        np.savez(path, keys=np.array([key.encode() for key in keys]), vectors=vectors)
    elif how == "parquet lists":
        pd.DataFrame({"key": keys, "v": list(vectors)}).to_parquet(path)
    else:
        columns = {f"d{number}": vectors[:, number] for number in range(vectors.shape[1])}
        pd.DataFrame({**columns, "object": keys}).to_parquet(path)
    return f"vectors:{path}"


@pytest.mark.parametrize("how", ["npy", "npz", "npz bytes", "parquet lists", "parquet columns"])
@pytest.mark.parametrize("by", ["uid", "path"])
def test_vectors_are_found_by_key(dataset: Dataset, root: Path, how: str, by: str) -> None:
    rng = np.random.default_rng(0)
    present = dataset.present()
    vectors = rng.normal(size=(N, 5)).astype(np.float32)
    shuffled = rng.permutation(N)[: N - 6]
    if by == "path":
        shuffled = shuffled[~np.isin(shuffled, [0, 1])]  # they share a photograph, and so a path
    keys = present[by].iloc[shuffled].tolist()
    spec = own.compute(dataset, saved(root, [*keys, "stranger"], np.concatenate([vectors[shuffled], vectors[:1]]), how))
    store = dataset.features(spec)
    assert np.allclose(store.get(own.row_names(spec, present.iloc[shuffled])), vectors[shuffled], atol=1e-2)
    lacking = set(present[by]) - set(keys)
    assert len(store) == int((~present[by].isin(lacking)).sum())
    assert sorted(store.missing(own.row_names(spec, present))) == sorted(
        own.row_names(spec, present[present[by].isin(lacking)])
    )


def test_rows_in_the_order_of_the_pictures(dataset: Dataset, root: Path) -> None:
    vectors = np.eye(N, 3) + np.arange(N)[:, None]
    np.save(root / "plain.npy", vectors)
    assert np.allclose(rows_of(dataset, f"vectors:{root / 'plain.npy'}"), vectors, atol=0.05)
    np.save(root / "plain.npy", vectors[:-1])
    with pytest.raises(BadInput, match=r"39 rows and no keys, and there are 40 pictures.*plain\.keys\.txt"):
        own.compute(dataset, f"vectors:{root / 'plain.npy'}")


def _wrong(root: Path) -> list[tuple[str, str]]:
    ids = [f"ob-{number:03d}" for number in range(N)]
    good = np.arange(N * 3, dtype=np.float32).reshape(N, 3)
    bad = good.copy()
    bad[7, 1] = np.nan

    class Trap:
        def __reduce__(self) -> tuple:
            return (root.joinpath("owned").touch, ())

    def put(name: str, **arrays: np.ndarray) -> str:
        np.savez(root / name, **arrays)
        return name

    np.save(root / "trap.npy", np.array([Trap()], object))
    np.save(root / "texts.npy", np.array([["a", "b"]] * N))
    (root / "broken.npz").write_bytes(b"PK nothing of the kind")
    (root / "broken.parquet").write_bytes(b"PAR1 nothing")
    pd.DataFrame({"a": [1.0], "b": [2.0]}).to_parquet(root / "keyless.parquet")
    pd.DataFrame({"key": ids[:2], "v": [[1.0], [1.0, 2.0]]}).to_parquet(root / "ragged.parquet")
    pd.DataFrame({"key": ids[:2], "word": ["a", "b"]}).to_parquet(root / "wordy.parquet")
    return [
        (put("nan.npz", vectors=bad, keys=np.array(ids)), "vector of 'ob-007' holds a value that is no finite"),
        (put("huge.npz", vectors=good * 1e33, keys=np.array(ids)), "no finite"),
        (put("count.npz", vectors=good, keys=np.array(ids[:-2])), "40 rows and 38 keys"),
        (put("twice.npz", vectors=good, keys=np.array([ids[0], *ids[:-1]])), "key 'ob-000' more than once"),
        (put("others.npz", vectors=good, keys=np.array([f"x{key}" for key in ids])), "None of the 40 keys.*'xob-000'"),
        (put("flat.npz", vectors=good[0], keys=np.array(ids[:3])), "table of numbers"),
        (put("several.npz", a=good, b=good), "no array 'vectors'; it has: a, b"),
        (put("wide.npz", vectors=np.zeros((2, 20_001)), keys=np.array(ids[:2])), "20,001 numbers a row"),
        ("trap.npy", "cannot be read"),
        ("texts.npy", "table of numbers"),
        ("broken.npz", "cannot be read"),
        ("broken.parquet", "cannot be read"),
        ("keyless.parquet", "no column of keys"),
        ("ragged.parquet", "not all of one length"),
        ("wordy.parquet", "no column of numbers"),
        ("absent.npy", "is not there"),
        ("mine.csv", "ending in .npy"),
    ]


def test_a_file_that_is_wrong_is_refused_in_a_sentence(dataset: Dataset, root: Path) -> None:
    for name, reason in _wrong(root):
        with pytest.raises((BadInput, NotFound), match=reason) as caught:
            own.compute(dataset, f"vectors:{root / name}")
        assert "\n" not in str(caught.value)
    assert not (root / "owned").exists(), "nothing was unpickled"
    assert not (dataset.root / "features").exists()
    with pytest.raises(BadInput, match="full path"):
        own.compute(dataset, "vectors:mine.npy")


# --- spaces ---


def test_copies_that_the_table_tells_apart_are_two_points(dataset: Dataset) -> None:
    report = run(
        dataset, "colour", "columns:price,kind,Größe", spaces=[[["colour", 1], ["columns:price,kind,Größe", 1]]]
    )
    assert report["failed"] == {}
    assert len(report["spaces"]) == 3
    colour, columns, both = (open_space(dataset, each["key"]) for each in report["spaces"])
    assert columns.title == "Your own columns (price, kind, Größe)"
    assert both.title.startswith("Colours + Your own columns (")
    a, b = both.rows["ob-000"], both.rows["ob-001"]
    assert both.hashes[a] == both.hashes[b]
    assert np.array_equal(colour.xy[a], colour.xy[b])
    assert np.array_equal(colour.vectors[a], colour.vectors[b])
    for space in (columns, both):
        assert len(space) == N
        assert not np.array_equal(space.xy[a], space.xy[b])
        assert space.vectors[a] @ space.vectors[b] < 0.999
        assert len(np.unique(space.xy, axis=0)) == N
        twice = space.duplicates
        assert twice["uid"].tolist() == ["ob-000", "ob-001"]
        assert set(twice["kind"]) == {"exact"}
    assert isinstance(both.vectors, JoinedVectors)
    stores = [dataset.features(key) for key, _ in both.recipe.features]
    raw = [store.get(own.row_names(store.spec, dataset.present())) for store in stores]
    assert np.allclose(both.vectors[:], both.transform(raw), atol=1e-5)
    assert {info.stale for info in list_spaces(dataset)} == {False}
    again = run(dataset, "colour", "columns:price,kind,Größe")
    assert again["spaces"] == report["spaces"], "nothing changed, nothing built, the joined one looked after too"


def test_pictures_without_a_vector_are_left_out_of_the_space(dataset: Dataset, root: Path) -> None:
    ids = [f"ob-{number:03d}" for number in range(30)]
    name = saved(root, ids, np.random.default_rng(0).normal(size=(30, 4)), "npz")
    report = run(dataset, "colour", name, spaces=[{"features": [["colour", 1], [name, 2]], "steps": ["centre", "l2"]}])
    assert "Your own vectors (mine.npz): 30 of 40 pictures have a row" in report["words"]
    sizes = [len(open_space(dataset, each["key"])) for each in report["spaces"]]
    assert sizes == [40, 30, 30]
    joined = open_space(dataset, report["spaces"][2]["key"])
    assert joined.uids == ids
    assert isinstance(joined.vectors, JoinedVectors)


def test_a_rescan_brings_columns_and_their_spaces_up_to_date(dataset: Dataset, root: Path) -> None:
    """And what was answered in the space of before is answered in the one that takes its place."""
    name = "columns:price,kind"
    run(dataset, "colour", name, spaces=[{"features": [["colour", 2], [name, 1]], "steps": ["centre", "power", "l2"]}])
    before = {info.key: info for info in list_spaces(dataset)}
    assert len(before) == 3
    catalog = Catalog.open(Workspace(root / "workspace").catalog_url)
    question = QuestionStore(catalog).create(dataset.id, "Good?", ["good", "bad"])
    joined = next(key for key in before if "-and-" in key)
    for number in range(10):
        event = {"client_event_id": f"e{number}", "question_id": question.id, "uid": f"ob-{number + 10:03d}"}
        content = str(dataset.item(event["uid"])["content_hash"])
        chosen = question.class_ids[number % 2]
        answer = AnswerEvent(**event, value="yes", class_id=chosen, content_hash=content, space=joined)
        AnswerStore(catalog).record([answer])
    changed = table()
    changed["price"] = changed["price"] + 100 * (np.arange(N) % 2)
    write(root, changed)
    report = run(dataset, "colour", name)
    after = {info.key: info for info in list_spaces(dataset)}
    assert len(after) == 3
    assert len(set(before) & set(after)) == 1, "the colours have not changed"
    assert {info.stale for info in after.values()} == {False}
    assert [spec.extractor for spec in dataset.feature_specs()] == ["colour", name]
    replaced = open_space(dataset, next(key for key in after if "-and-" in key))
    assert replaced.recipe.steps == ("centre", "power", "l2")
    assert [weight for _, weight in replaced.recipe.features] == [2.0, 1.0]
    assert report["failed"] == {}
    for key in after:
        scores = LiveQuestions(catalog, lambda _, key: open_space(dataset, key)).scores(dataset.id, question.id, key)
        assert (scores.ready, scores.trained, scores.changed) == (True, 10, 0)
    catalog.close()


# --- several at once ---


def test_one_that_is_wrong_stops_no_other(dataset: Dataset) -> None:
    report = run(dataset, "colour", "nonsense", "columns:weight", spaces=[[["colour", 1], ["nonsense", 1]], [["x", 1]]])
    assert len(open_space(dataset, report["spaces"][0]["key"])) == N
    assert len(report["spaces"]) == 1
    assert sorted(report["failed"])[:2] == ["columns:weight", "nonsense"]
    assert len(report["failed"]) == 4
    assert "Not done: nonsense. There is no extractor 'nonsense'" in report["words"]
    with pytest.raises(BadInput, match="no extractor"):
        run(dataset, "nonsense", "columns:weight")


def test_one_that_breaks_down_while_it_works_stops_no_other(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        card, min_side, batch_size = COLOUR.card, COLOUR.min_side, COLOUR.batch_size
        spec = type(COLOUR.spec)("broken", "none", "", "", "", "", 3)
        prepare = staticmethod(COLOUR.prepare)

        def compute(self, batch: np.ndarray) -> np.ndarray:
            raise RuntimeError("the network fell over")

    made = {"colour": COLOUR, "broken": Broken()}
    monkeypatch.setattr("explorer.processing.load", lambda name, models_dir, exact=False: made[name])
    report = run(dataset, "broken", "colour")
    assert report["failed"] == {"broken": "RuntimeError: the network fell over"}
    assert len(open_space(dataset, report["spaces"][0]["key"])) == N
    with pytest.raises(ExplorerError, match="fell over"):
        run(dataset, "broken")


def test_some_pictures_alone_and_no_space(dataset: Dataset) -> None:
    some = [f"ob-{number:03d}" for number in range(5, 12)]
    report = run(dataset, "colour", only=some, build=False)
    assert report["spaces"] == list_spaces(dataset) == []
    assert report["embed"]["embedded"] == 7
    present = dataset.present()
    missing = dataset.features(COLOUR.spec).missing(present["content_hash"].tolist())
    assert set(present[present["uid"].isin(some)]["content_hash"]).isdisjoint(missing)
    assert len(dataset.features(COLOUR.spec)) == 7
    assert len(build_space(dataset, SpaceRecipe(((COLOUR.spec.key, 1.0),)))) == 7
    whole = run(dataset, "colour")
    assert len(open_space(dataset, whole["spaces"][0]["key"])) == N


def test_the_status_counts_what_belongs_to_items(dataset: Dataset, root: Path) -> None:
    name = saved(root, ["ob-002", "ob-003"], np.eye(2, 4), "npz")
    run(dataset, "colour", "columns:price", name)
    found = {each["extractor"]: each for each in status(Workspace(root / "workspace"), "objects")["extractors"]}
    counts = [(found[each]["computed"], found[each]["stale"]) for each in ("colour", "columns:price", name)]
    assert counts == [(N - 1, False), (N, False), (2, False)]
