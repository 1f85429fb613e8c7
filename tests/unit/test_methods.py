"""Other linear methods: right where the question can be told apart, calibrated, and compared fairly with ridge."""

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.learning.methods import METHODS, NOT_LINEAR, compare, fit_linear, methods_sentence


def clouds(n: int, classes: int, seed: int = 0, noise: float = 1.2) -> tuple[np.ndarray, np.ndarray]:
    """(n, 40) unit vectors around one centre a class, which are the same for every seed."""
    centres = np.random.default_rng(99).normal(size=(classes, 40))
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    X = centres[y] + noise * rng.normal(size=(n, 40))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), y


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("classes", [2, 4])
def test_every_method_learns_and_knows_how_sure_it_may_be(method: str, classes: int) -> None:
    X, y = clouds(160, classes)
    fitted = fit_linear(method, X, y, classes + 1)  # one class has no answer
    X_new, y_new = clouds(600, classes, seed=1)
    shares = fitted.probabilities(X_new)
    right = shares.argmax(axis=1) == y_new
    assert right.mean() > 0.85
    assert (shares[:, classes] == 0).all()
    assert abs(shares.max(axis=1).mean() - right.mean()) < 0.08
    assert abs(fitted.loo_accuracy - right.mean()) < 0.08


def test_near_duplicates_do_not_vouch_for_each_other() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 40)).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y = rng.integers(2, size=40)  # nothing to be learnt
    X, y, groups = np.repeat(X, 3, axis=0), np.repeat(y, 3), np.repeat(np.arange(40), 3)
    for method in METHODS:
        assert fit_linear(method, X, y, 2, groups).loo_accuracy < 0.7, method
        vouched = fit_linear(method, X, y, 2).loo_accuracy
        assert vouched > 0.9 or method == "centroid", method  # which remembers too little to be fooled


def test_methods_are_compared_on_the_same_pictures() -> None:
    X, y = clouds(150, 3, noise=2.0)
    found = compare(X, y, np.arange(150))
    assert {one.method for one in found} == set(METHODS)
    assert [one.balanced_accuracy for one in found] == sorted((one.balanced_accuracy for one in found), reverse=True)
    ridge = next(one for one in found if one.method == "ridge")
    assert (ridge.lead, ridge.lead_low, ridge.lead_high) == (0, 0, 0)
    for one in found:
        assert one.low <= one.balanced_accuracy <= one.high
        assert one.lead_high - one.lead_low < one.high - one.low + 1e-9  # paired


def test_what_cannot_be_compared_is_said() -> None:
    X, y = clouds(30, 2)
    y[:] = 0
    y[:3] = 1
    with pytest.raises(BadInput, match="at least 5"):
        compare(X, y, np.arange(30))
    with pytest.raises(BadInput, match="no method 'forest'"):
        fit_linear("forest", X, y, 2)
    with pytest.raises(BadInput, match="two classes"):
        fit_linear("svm", X, np.zeros(30, int), 2)


def test_what_no_flat_cut_can_tell_a_forest_or_a_layer_can() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(240, 12))
    y = ((X[:, 0] > 0) ^ (X[:, 1] > 0)).astype(int)  # the classes lie crosswise
    X[:, :2] *= 4
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    found = {one.method: one for one in compare(X, y, np.arange(240), also=True)}
    assert set(found) == set(METHODS) | set(NOT_LINEAR)
    assert found["ridge"].balanced_accuracy < 0.65
    assert max(found[each].balanced_accuracy for each in NOT_LINEAR) > 0.75
    sentence = methods_sentence(list(found.values()))
    assert "does better than a flat cut here" in sentence
    assert "random forest ." in sentence


def test_where_a_flat_cut_will_do_the_others_do_not_seem_better() -> None:
    X, y = clouds(120, 2, noise=2.0)
    compared = compare(X, y, np.arange(120), also=True)
    assert "does better than a flat cut" not in methods_sentence(compared)
    plain = compare(X, y, np.arange(120))
    ridge = [one for one in compared if one.method == "ridge"]
    assert ridge == [one for one in plain if one.method == "ridge"]
    with pytest.raises(BadInput, match="Only linear"):
        methods_sentence(plain)
    with pytest.raises(BadInput, match="no method 'mlp'"):
        fit_linear("mlp", X, y, 2)
