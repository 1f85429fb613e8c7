"""Joined looks: weights that share where looks are alike, single out what is better, and are judged unseen."""

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.learning.classifier import fit_classifier
from explorer.learning.joining import join, weights_of
from explorer.learning.looks import Look


def halves(n: int, seed: int, dim: int = 30) -> tuple[list[Look], np.ndarray]:
    """Four classes: one look tells the first bit of the class, the other the second, a third nothing."""
    centres = np.random.default_rng(9).normal(size=(2, 2, dim))
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    bits = [y % 2, y // 2]
    found = []
    for name, bit, centre in zip("ab", bits, centres, strict=True):
        found.append((name, 0.6 * centre[bit] + rng.normal(size=(n, dim))))
    found.append(("noise", rng.normal(size=(n, dim))))
    return [
        Look(name, name.upper(), (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)) for name, X in found
    ], y


def truth(looks: list[Look], weights: dict[str, float], seen: int, y: np.ndarray) -> float:
    X = np.concatenate([np.sqrt(weights.get(look.key, 0.0)) * look.vectors for look in looks], axis=1)
    guess = fit_classifier(X[:seen], y[:seen], 4).scores(X[seen:]).argmax(axis=1)
    return float((guess == y[seen:]).mean())


def test_what_is_told_by_halves_is_told_together() -> None:
    gain, said = [], []
    for seed in range(8):
        looks, y = halves(440, seed)
        short = [Look(look.key, look.title, look.vectors[:40]) for look in looks]
        joined = join(short, y[:40])
        assert joined is not None
        weights = dict(joined.weights)
        assert sum(weights.values()) == pytest.approx(1)
        assert weights.get("a", 0) + weights.get("b", 0) > 0.8
        single = max(truth(looks, {key: 1.0}, 40, y) for key in "ab")
        gain.append(truth(looks, weights, 40, y) - single)
        said.append(joined.balanced_accuracy - truth(looks, weights, 40, y))
        assert joined.low <= joined.balanced_accuracy <= joined.high
        assert joined.lead_low <= joined.lead <= joined.lead_high
    assert np.mean(gain) > 0.1
    assert abs(np.mean(said)) < 0.07


def test_the_better_one_alone_where_the_rest_is_noise() -> None:
    looks, y = halves(200, 0)
    found = join([looks[0], looks[2]], y % 2)
    assert found is not None
    assert dict(found.weights)["a"] > 0.9
    assert found.lead <= 0.02
    assert "“A” alone" in found.words


def test_weights_share_among_equals_and_drop_what_is_worse() -> None:
    assert weights_of(np.array([0.9, 0.9, 0.3]), 30) == pytest.approx([0.5, 0.5, 0], abs=0.01)
    many = weights_of(np.linspace(0.52, 0.5, 12), 30)
    assert (many > 0).sum() == 6
    assert many.sum() == pytest.approx(1)
    assert (np.diff(many[:6]) <= 0).all()
    assert weights_of(np.array([0.6, 0.5]), 1_000) == pytest.approx(weights_of(np.array([0.6, 0.5]), 100))


def test_choosing_weights_is_not_counted_as_knowledge() -> None:
    """With nothing to be learnt, the best of many looks must not seem better than guessing."""
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        looks = []
        for number in range(8):
            X = rng.normal(size=(40, 20))
            looks.append(Look(str(number), str(number), (X / np.linalg.norm(X, axis=1, keepdims=True)).astype("f4")))
        joined = join(looks, np.arange(40) % 2)
        assert joined is not None
        found.append(joined.balanced_accuracy)
    assert 0.4 < np.mean(found) < 0.56


def test_twins_are_left_out_together() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(24, 40))
    X = np.repeat(X / np.linalg.norm(X, axis=1, keepdims=True), 3, axis=0).astype(np.float32)
    y, groups = np.repeat(rng.permutation(np.arange(24) % 2), 3), np.repeat(np.arange(24), 3)
    looks = [Look("a", "A", X), Look("b", "B", X[:, ::-1].copy())]
    fair, fooled = join(looks, y, groups), join(looks, y)
    assert fair is not None
    assert fooled is not None
    assert fair.balanced_accuracy < fooled.balanced_accuracy - 0.2


def test_one_look_is_not_joined_and_nonsense_is_refused() -> None:
    looks, y = halves(20, 0)
    assert join(looks[:1], y) is None
    with pytest.raises(BadInput, match="shapes"):
        join(looks, y[:3])
