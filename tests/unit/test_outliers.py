"""Odd ones out and pictures that are there twice, on real pictures."""

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from explorer.collection.images import thumbnail
from explorer.space.duplicates import duplicate_table, joined, same_pictures
from explorer.space.graph import neighbour_graph
from explorer.space.outliers import REACH, central_distance, outlier_table, percentile
from explorer.space.recipe import normalised


def crowd(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.concatenate([rng.normal(size=(4, 30)), np.zeros((4, 10))], axis=1)
    return (centres[rng.integers(0, 4, n)] + rng.normal(scale=0.25, size=(n, 40))).astype("f4")


def test_lonely_and_far_pictures_come_first() -> None:
    rng = np.random.default_rng(1)
    strange = np.zeros((4, 40), "f4")
    strange[:, 30:] = rng.normal(scale=4, size=(4, 10))
    vectors = normalised(np.concatenate([crowd(400), strange]))
    table = outlier_table(vectors, neighbour_graph(vectors, REACH)[1])
    assert sorted(table["rank"]) == list(range(1, 405))
    assert set(table.sort_values("rank").index[:4]) == {400, 401, 402, 403}
    assert table["score"].between(0, 1).all()


def test_a_handful_of_strangers_of_one_kind_is_odd_though_they_have_each_other() -> None:
    rng = np.random.default_rng(2)
    kind = np.zeros(40, "f4")
    kind[33] = 3
    alike = (kind + rng.normal(scale=0.05, size=(8, 40))).astype("f4")
    vectors = normalised(np.concatenate([crowd(500), alike]))
    table = outlier_table(vectors, neighbour_graph(vectors, REACH)[1])
    assert (table["rank"].iloc[500:] <= 25).all()


@pytest.mark.parametrize("n", [1, 2, 3, 5, 50])
def test_any_number_of_pictures_can_be_ranked(n: int) -> None:
    for vectors in (normalised(crowd(n)), np.repeat(normalised(crowd(1)), n, axis=0)):
        table = outlier_table(vectors, neighbour_graph(vectors, REACH)[1])
        assert np.isfinite(table.to_numpy()).all()
        assert sorted(table["rank"]) == list(range(1, n + 1))


def test_the_central_distance_is_that_of_mahalanobis() -> None:
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(20_000, 3)) * [5, 1, 0.2]).astype("f4")
    there = np.concatenate([rows, [[5, 0, 0], [0, 1, 0], [0, 0, 0.2]]]).astype("f4")
    assert np.allclose(central_distance(there)[-3:], 1, atol=0.03)
    assert percentile(np.array([3.0, 1.0, 1.0, 9.0])).tolist() == [0.625, 0.25, 0.25, 0.875]


def saved_again(rgb: np.ndarray, quality: int, scale: float = 1.0) -> np.ndarray:
    small = cv2.resize(np.ascontiguousarray(rgb), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def test_a_picture_saved_again_is_near_and_a_variant_is_not() -> None:
    """However alike the features find them: here every pair is proposed, the pixels decide."""
    china, flower = load_sample_image("china.jpg"), load_sample_image("flower.jpg")
    smiling = np.full((256, 256, 3), 255, np.uint8)
    cv2.circle(smiling, (128, 128), 100, (250, 200, 30), -1)
    sad = smiling.copy()
    cv2.ellipse(smiling, (128, 140), (55, 40), 0, 20, 160, (0, 0, 0), 8)
    cv2.ellipse(sad, (128, 200), (55, 40), 0, 200, 340, (0, 0, 0), 8)
    pictures = {
        "china": china,
        "china small": saved_again(china, 60, 0.5),
        "china darker": (china * 0.85).astype(np.uint8),
        "flower": flower,
        "flower pressed": saved_again(flower, 30),
        "flower turned": flower[:, ::-1],
        "smiling": smiling,
        "sad": sad,
        "white": np.full((256, 256, 3), 255, np.uint8),
    }
    names = list(pictures)
    thumbs = {name: thumbnail(np.ascontiguousarray(rgb)) for name, rgb in pictures.items()}
    everyone = np.array([[other for other in range(9) if other != row] for row in range(9)], np.int32)
    pairs = same_pictures(everyone, np.full((9, 8), 0.1, np.float32), names, thumbs.get)
    found = {frozenset((names[a], names[b])) for a, b, _ in pairs}
    trio = ["china", "china small", "china darker"]
    expected = {frozenset((a, b)) for a in trio for b in trio if a != b} | {frozenset(("flower", "flower pressed"))}
    assert found == expected
    assert same_pictures(everyone, np.full((9, 8), 0.5, np.float32), names, thumbs.get) == []


def test_groups_of_copies_hold_files_and_pictures_saved_again() -> None:
    rgb = load_sample_image("china.jpg")
    thumbs = {"a": thumbnail(rgb), "b": thumbnail(saved_again(rgb, 50)), "c": None}
    hashes = ["c", "a", "b", "a", "d", "d"]
    graph = np.array([[1, 2], [2, 0], [1, 0], [0, 1]], np.int32)
    reach = np.array([[0.9, 0.9], [0.04, 0.9], [0.04, 0.9], [0.9, 0.9]], np.float32)
    table = duplicate_table(hashes, np.array([0, 1, 2, 4]), graph, reach, thumbs.get)
    assert table["row"].tolist() == [1, 2, 3, 4, 5]
    assert table["group"].tolist() == [0, 0, 0, 1, 1]
    assert table["kind"].tolist() == ["exact", "near", "exact", "exact", "exact"]
    assert table["similarity"].tolist() == pytest.approx([1, 0.96, 1, 1, 1])


def test_joining_pairs_makes_groups() -> None:
    assert joined(7, [(5, 4), (2, 5), (0, 1)]).tolist() == [0, 0, 2, 3, 2, 2, 6]
