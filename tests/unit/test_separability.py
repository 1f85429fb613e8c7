"""Flat cuts: told whether they separate, and whether that means anything."""

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.learning.looks import Look
from explorer.learning.separability import separability


def look(X: np.ndarray) -> Look:
    return Look("x", "X", (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32))


def test_with_more_numbers_than_answers_anything_separates_and_it_is_said() -> None:
    rng = np.random.default_rng(0)
    found = separability(look(rng.normal(size=(40, 500))), np.arange(40) % 2, ["a", "b"])
    assert found.separable == found.shuffled_separable == 1
    assert found.left_out < 0.75
    assert "almost anything can be separated" in found.sentence
    assert "500 numbers" in found.sentence
    assert found.sentence.startswith("One flat cut separates the two without an error")
    assert "narrower" not in found.sentence


def test_a_real_gap_is_wider_than_that_of_shuffled_answers() -> None:
    rng = np.random.default_rng(1)
    y = np.arange(60) % 2
    X = rng.normal(size=(60, 300)) + 3 * np.where(y[:, None], 1, -1) * rng.normal(size=300) / 3
    found = separability(look(X), y, ["a", "b"])
    assert found.wider > 1.5
    assert found.left_out > 0.95
    assert "narrower" in found.sentence
    assert found.pairs[0].margin > found.pairs[0].shuffled_margin > 0


def test_in_few_dimensions_only_what_is_apart_separates() -> None:
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1, 2], 40)
    centres = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [0.3, 4, 0, 0]])
    found = separability(look(centres[y] + 0.5 * rng.normal(size=(120, 4))), y, ["a", "b", "c"])
    by_pair = {(pair.a, pair.b): pair for pair in found.pairs}
    assert by_pair[0, 1].separable
    assert by_pair[0, 2].separable
    assert not by_pair[1, 2].separable
    assert by_pair[1, 2].margin == 0
    assert found.pairs[0] == by_pair[1, 2]  # the hardest first
    assert found.shuffled_separable == 0
    assert "2 of 3 pairs" in found.sentence
    assert "almost anything" not in found.sentence


def test_the_margin_is_half_the_gap() -> None:
    angle = np.array([-2, -1, 1, 2]) * 0.3
    X = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    found = separability(look(X), np.array([0, 0, 1, 1]), ["a", "b"])
    assert found.pairs[0].margin == pytest.approx(np.sin(0.3), rel=0.02)


def test_nonsense_is_refused() -> None:
    X = np.random.default_rng(0).normal(size=(6, 3))
    with pytest.raises(BadInput, match="two pictures of each"):
        separability(look(X), np.array([0, 0, 0, 0, 0, 1]), ["a", "b"])
    with pytest.raises(BadInput, match="not among them"):
        separability(look(X), np.array([0, 0, 0, 5, 5, 5]), ["a", "b"])
