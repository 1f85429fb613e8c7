"""Groups, and what their cards say."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from explorer.space import clusters
from explorer.space.cards import make_cards
from explorer.space.clusters import dense_groups, kmeans, nearest_centre
from explorer.space.recipe import normalised

SIZES = [60, 45, 30, 25]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(4)
    centres = rng.normal(size=(len(SIZES), 20))
    return normalised((np.repeat(centres, SIZES, axis=0) + rng.normal(scale=0.25, size=(160, 20))).astype("f4"))


OF = np.repeat(np.arange(len(SIZES)), SIZES)


def test_even_groups_are_found_the_largest_first(vectors: np.ndarray) -> None:
    labels, centres = kmeans(vectors, count=4)
    assert adjusted_rand_score(OF, labels) > 0.99
    assert np.bincount(labels).tolist() == SIZES
    assert np.array_equal(nearest_centre(vectors, centres), labels)
    again, _ = kmeans(vectors, count=4)
    assert np.array_equal(again, labels)


def test_groups_keep_their_numbers_while_pictures_are_added(vectors: np.ndarray) -> None:
    some = np.concatenate([np.flatnonzero(OF == 3), np.flatnonzero(OF != 3)[::4]])
    labels, centres = kmeans(vectors[some], count=4)
    now, _ = kmeans(vectors, centres=centres)
    assert np.array_equal(now[some], labels)
    assert np.bincount(now).tolist() != SIZES, "numbered as they were, not by their new sizes"


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9])
def test_few_or_equal_pictures_have_groups(n: int, vectors: np.ndarray) -> None:
    assert len(kmeans(vectors[:n])[0]) == n
    labels, centres = kmeans(np.repeat(vectors[:1], n, axis=0))
    assert labels.tolist() == [0] * n
    assert len(centres) == 1
    assert dense_groups(np.zeros((n, 2), np.float32)).tolist() == [-1] * n


def test_dense_groups_leave_the_scattered_out() -> None:
    rng = np.random.default_rng(0)
    spots = [
        rng.normal(place, 0.02, (size, 2)) for place, size in (((-0.5, 0), 80), ((0.5, 0.5), 120), ((0.6, -0.6), 70))
    ]
    xy = np.concatenate([*spots, rng.uniform(-1, 1, (90, 2))]).astype("f4")
    labels = dense_groups(xy)
    assert (labels[80:200] == 0).mean() > 0.9
    assert (labels[:80] == 1).mean() > 0.9
    assert (labels[200:270] == 2).mean() > 0.9
    assert (labels[:270] == -1).mean() < 0.05
    assert (labels[-90:] == -1).mean() > 0.25


def test_dense_groups_of_very_many_are_those_of_half(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    middles = (((-0.5, 0), 400), ((0.5, 0.5), 550), ((0.6, -0.6), 300))
    spots = [rng.normal(place, 0.02, (size, 2)) for place, size in middles]
    xy = np.concatenate([*spots, rng.uniform(-1, 1, (150, 2))]).astype("f4")
    monkeypatch.setattr(clusters, "DENSE", 800)
    labels = dense_groups(xy)
    assert (labels[400:950] == 0).mean() > 0.9
    assert (labels[:400] == 1).mean() > 0.9
    assert (labels[950:1_250] == 2).mean() > 0.9
    assert (labels[-150:] == -1).mean() > 0.25


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    kinds = np.array(["violin", "boat", "apple", "house"])[OF]
    kinds[:6] = "boat"
    return pd.DataFrame(
        {
            "uid": [f"p{row}" for row in range(160)],
            "caption": [f"a drawing of a {kind} {rng.integers(99)}" for kind in kinds],
            "meta:kind": kinds,
            "meta:year": np.where(OF == 2, 1990, 1900) + rng.integers(0, 40, 160),
            "meta:code": [f"{row:04d}" for row in range(160)],
            "meta:maker": np.where(rng.random(160) < 0.5, "A", None),
        }
    )


def test_cards_tell_what_a_group_is(vectors: np.ndarray, items: pd.DataFrame) -> None:
    cards = make_cards(OF.astype(np.int32), vectors, items)
    assert [(card.id, card.size) for card in cards] == list(enumerate(SIZES))
    assert [card.words[0] for card in cards] == ["violin", "boat", "apple", "house"]
    assert cards[0].title.startswith("violin")
    for card in cards:
        assert len(card.typical) == 6
        assert len(card.border) == 3
        assert not set(card.typical) & set(card.border)
        assert set(OF[card.typical + card.border]) == {card.id}
    column, value, inside, outside = cards[0].differs[0]
    assert (column, value) == ("kind", "violin")
    assert inside == pytest.approx(54 / 60)
    assert outside == 0
    assert ("year", 1.0) in [(column, inside) for column, value, inside, _ in cards[2].differs if value[:5] == "above"]
    assert not any(column == "code" for card in cards for column, *_ in card.differs), "names are no difference"


def test_typical_pictures_are_nearest_the_middle_and_border_ones_nearest_another(vectors: np.ndarray) -> None:
    items = pd.DataFrame({"caption": [""] * 160})
    card = make_cards(OF.astype(np.int32), vectors, items)[1]
    middles = np.stack([vectors[label == OF].mean(axis=0) for label in range(4)])
    own = vectors @ middles[1]
    members = np.flatnonzero(OF == 1)
    assert set(card.typical) == set(members[np.argsort(-own[members])[:6]])
    margin = own - np.delete(vectors @ middles.T, 1, axis=1).max(axis=1)
    assert margin[card.border].max() <= np.sort(margin[members])[8]
    assert card.title == "Group 2"


def test_a_grouping_without_groups_has_no_cards(vectors: np.ndarray, items: pd.DataFrame) -> None:
    assert make_cards(np.full(160, -1, np.int32), vectors, items) == []
