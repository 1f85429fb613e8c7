"""A million short texts without a million objects: they read like the list and the dict that they stand for."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from explorer.collection.names import Names, Places

TEXTS = ["b", "", "größe", "a" * 40, "b", "🦉 owl", "z"]


def test_names_read_like_a_list() -> None:
    for made in (
        Names(TEXTS),
        Names(pd.Series(TEXTS, dtype="str")),
        Names(pa.chunked_array([TEXTS[:3], [], TEXTS[3:]])),
        Names(pa.array(["before", *TEXTS, "after"]).slice(1, len(TEXTS))),
    ):
        assert made == TEXTS
        assert made == Names(TEXTS)
        assert made != TEXTS[:-1]
        assert [made[row] for row in range(-len(TEXTS), len(TEXTS))] == TEXTS * 2
        assert made[np.int64(2)] == "größe"
        assert made[1:4] == TEXTS[1:4]
        assert made[::-2] == TEXTS[::-2]
        assert list(made) == TEXTS
        assert made.run() == "".join(TEXTS).encode()
        assert np.array(made).tolist() == TEXTS
        with pytest.raises(IndexError, match="no row 7"):
            made[7]
    assert list(Names([])) == []
    assert Names([]).run() == b""


def test_where_a_text_stands_first() -> None:
    assert Names(TEXTS).firsts().tolist() == [0, -1, 2, 3, 0, 5, 6]
    assert Names([]).firsts().tolist() == []


def test_places_read_like_a_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.collection.names._KEPT", 3)
    places, known = Places(Names(TEXTS)), {text: row for row, text in enumerate(TEXTS)}
    for _ in range(2):
        assert {text: places[text] for text in TEXTS} == known
        assert places.get("no") is None
        assert places.get("no", -1) == -1
    assert "b" in places
    assert "no" not in places
    assert 7 not in places
    assert len(places) == len(TEXTS)
    with pytest.raises(KeyError):
        places["no"]
    assert places.of(["z", "no", "b", ""]).tolist() == [6, -1, 4, 1]
    assert Places(Names(TEXTS[1:])).of(Names(TEXTS[1:])).tolist() == list(range(6))
    assert Places(Names([])).of(["a"]).tolist() == [-1]
    assert Places(Names([])).get("a") is None


def test_texts_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.collection.names.hash", lambda text: len(text), raising=False)
    texts = [f"{number:04d}" for number in range(50)]
    places = Places(Names(texts))
    assert [places[text] for text in texts] == list(range(50))
    assert places.of([*reversed(texts), "none", "0050"]).tolist() == [*reversed(range(50)), -1, -1]
