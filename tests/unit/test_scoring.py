"""Scores of a whole collection: scanned or not, orders and decisions are those of float32 over the stored vectors."""

import numpy as np
import pytest

from explorer.collection.dataset import Dataset
from explorer.learning import scoring
from explorer.learning.classifier import fit_classifier
from explorer.learning.kernels import advantage, diffused, diffused_at, doubt, doubt_of_two
from explorer.learning.scoring import AttributeScored, Scored
from explorer.learning.spreading import spread_answers
from explorer.space import Space, list_spaces, open_space
from explorer.space.codes import float32_scores
from explorer.space.spread import Spread
from explorer.workspace import Workspace

TWO = ("animals", "food")
TEN = ("animals", "food", "people", "office", "signs", "maps", "transportation", "tools", "music", "plants")


@pytest.fixture(scope="module")
def space(demo_workspace: Workspace) -> Space:
    dataset = Dataset.open(demo_workspace, demo_workspace.dataset_ids()[0])
    return open_space(dataset, list_spaces(dataset)[0].key)


@pytest.fixture(scope="module")
def graph(space: Space) -> Spread:
    return Spread(np.asarray(space.neighbours), np.asarray(space.distances))


def folders(space: Space) -> np.ndarray:
    return np.array([uid.split("-")[0] for uid in space.uids])


def taught(space: Space, graph: Spread, names: tuple[str, ...], each: int = 6, lacking: int = 0) -> Scored:
    """The app's classifier of some folders, from `each` answers a folder; `lacking` more classes have no answer."""
    rng = np.random.default_rng(each)
    found = folders(space)
    rows = np.concatenate([rng.choice(np.flatnonzero(found == name), each, replace=False) for name in names])
    y = np.repeat(np.arange(len(names)), each)
    order = np.argsort(rows)
    rows, y = rows[order], y[order]
    classes = len(names) + lacking
    spreading = spread_answers(graph, rows, y, classes)
    fitted = fit_classifier(np.asarray(space.vectors[rows]), y, classes, left_out_shares=spreading.left_out)
    return Scored(space, fitted, spreading)


def float32(space: Space, scored: Scored) -> np.ndarray:
    """(n, C) logits over the stored vectors, each step written out anew: calibrated weights, what the graph adds."""
    made, every = scored.classifier, np.arange(len(space.uids))
    trained = np.flatnonzero(np.isfinite(made.bias))
    heat, spreading = np.float32(made.calibration.temperature), scored.spreading
    assert spreading is not None
    weights, level = made.weights[:, trained] * heat, made.bias[trained] * heat + made.calibration.offsets[trained]
    added = np.zeros((len(every), len(trained)), np.float32)
    added[spreading.rows] = np.float32(made.calibration.spread_weight) * spreading.shares[:, trained]
    if len(trained) == 2:  # the lead of the first over the second
        weights, level, added = weights[:, :1] - weights[:, 1:], level[:1] - level[1:], added[:, :1] - added[:, 1:]
    found = float32_scores(space.vectors, every, weights, level) + added
    logits = np.full((len(every), len(made.bias)), -np.inf, np.float32)
    logits[:, trained] = np.concatenate([found, -found], axis=1) / 2 if len(trained) == 2 else found
    return logits


def lead(logits: np.ndarray, place: int | None) -> np.ndarray:
    """(n,) the log odds of a class, or of the likeliest: of two their difference."""
    if logits.shape[1] > 2:
        return advantage(logits, -1 if place is None else place)
    first = 2 * logits[:, 0]
    return np.abs(first) if place is None else first if place == 0 else -first


@pytest.mark.parametrize(("names", "lacking"), [(TWO, 0), (TEN, 0), (TWO, 1), (TEN, 2)])
@pytest.mark.parametrize("scanned", [False, True])
def test_orders_and_decisions_are_those_of_float32(
    space: Space,
    graph: Spread,
    names: tuple[str, ...],
    lacking: int,
    scanned: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scoring, "SCANNED_FROM", 0 if scanned else 10**9)
    scored = taught(space, graph, names, lacking=lacking)
    exact = float32(space, scored)
    assert (scored.error is not None) == scanned
    np.testing.assert_array_equal(scored.probabilities.argmax(axis=1), exact.argmax(axis=1))
    n = len(exact)
    allowed = np.random.default_rng(1).random(n) < 0.4
    for place in (0, len(names) - 1, None):
        odds = lead(exact[:, : len(names)], place)
        whole = np.lexsort((np.arange(n), -odds))
        for count in (1, 10, 200, n):
            np.testing.assert_array_equal(scored.top(place, count), whole[:count])
        np.testing.assert_array_equal(scored.top(place, 50, allowed), whole[allowed[whole]][:50])
    some = np.array([3, 700, 12])
    np.testing.assert_array_equal(scored.exact(some), exact[some])
    if scanned:  # the bound is worth something: it holds, and it is small beside what it bounds
        assert scored.error is not None
        trained = slice(0, len(names))
        about = scored._unfolded(scored._found)
        off = np.abs(about[:, trained] - exact[:, trained]).max(axis=1)
        assert (off <= scored.error).all()
        assert np.median(scored.error) < 0.2 * np.abs(exact[:, trained]).max()


def test_the_graph_adds_to_what_a_few_answers_reach(space: Space, graph: Spread) -> None:
    found = folders(space)
    wins = []
    for each in (2, 3, 4, 6):
        scored = taught(space, graph, TEN, each)
        alone = fit_classifier(
            np.asarray(space.vectors[_rows(scored)]), found_places(found, _rows(scored)), len(TEN)
        ).probabilities(space.vectors)
        asked = np.isin(found, TEN)
        truth = found_places(found, np.flatnonzero(asked))
        right = [(shares[asked].argmax(axis=1) == truth).mean() for shares in (scored.probabilities, alone)]
        wins.append(right[0] - right[1])
    assert np.mean(wins) > 0.01  # measured: .02 to .05


def found_places(found: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.array([TEN.index(found[row]) for row in rows])


def _rows(scored: Scored) -> np.ndarray:
    """The answered rows: each left-out share has one."""
    spreading = scored.spreading
    assert spreading is not None
    each = len(spreading.left_out) // len(TEN)
    rng = np.random.default_rng(each)
    found = folders(scored.space)
    return np.sort(np.concatenate([rng.choice(np.flatnonzero(found == name), each, replace=False) for name in TEN]))


def test_left_out_shares_are_those_of_a_graph_without_the_answer(space: Space, graph: Spread) -> None:
    rows = np.arange(0, 60, 3)
    y = np.arange(20) % 3
    groups = rows.copy()
    groups[[2, 5]] = groups[1]  # three near-duplicates, of two classes
    spreading = spread_answers(graph, rows, y, 4, groups)
    for at in (0, 1, 2, 19):
        rest = np.flatnonzero(groups != groups[at])
        without = spread_answers(graph, rows[rest], y[rest], 4, groups[rest])
        place = np.searchsorted(without.rows, rows[at])
        there = place < len(without.rows) and without.rows[place] == rows[at]
        expected = without.shares[place] if there else np.zeros(4)
        np.testing.assert_allclose(spreading.left_out[at], expected, atol=2e-3)
    assert (spreading.shares[:, 3] == 0).all()
    np.testing.assert_allclose(spreading.shares.sum(axis=1), 0, atol=1e-5)


def test_doubt_is_the_lead_of_the_likeliest() -> None:
    logits = np.random.default_rng(0).normal(size=(500, 5)).astype(np.float32) * 3
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    best = np.sort(shares, axis=1)
    np.testing.assert_allclose(doubt(logits), 1 - (best[:, -1] - best[:, -2]), atol=3e-3)
    two = logits[:, :2].copy()
    share = 1 / (1 + np.exp(two[:, 1] - two[:, 0]))
    np.testing.assert_allclose(doubt(two), 1 - np.abs(2 * share - 1), atol=3e-3)
    np.testing.assert_allclose(doubt_of_two(two[:, 0] - two[:, 1]), doubt(two), atol=1e-3)


def test_doubt_gathers_along_the_graph(graph: Spread) -> None:
    edges = (graph.starts, graph.columns, graph.values)
    mass = np.random.default_rng(0).random(graph.n).astype(np.float32)
    dense = np.zeros((graph.n, graph.n), np.float32)
    for row in range(graph.n):
        here = slice(graph.starts[row], graph.starts[row + 1])
        dense[row, graph.columns[here]] = graph.values[here]
    step = mass + 0.8 * dense @ mass
    two = mass + 0.8 * dense @ step
    np.testing.assert_allclose(diffused(edges, mass, 0.8, 2), two, rtol=1e-4)
    rows = np.array([5, 900, 33])
    np.testing.assert_allclose(diffused_at(edges, mass, 0.8, rows), two[rows], rtol=1e-4)


def test_attributes_are_learnt_each_for_itself(space: Space, graph: Spread) -> None:
    first, second = taught(space, graph, TWO), taught(space, graph, ("maps", "music"))
    both = AttributeScored(space, [first, None, second])
    rows = np.array([1, 50, 1200])
    np.testing.assert_allclose(both.probabilities[rows, 0], first.probabilities[rows, 1])
    np.testing.assert_array_equal(both.probabilities[:, 1], 0)
    np.testing.assert_allclose(both.probabilities_of(rows), both.probabilities[rows], atol=1e-6)
    np.testing.assert_array_equal(both.top(2, 9), second.top(1, 9))
    assert len(both.top(1, 9)) == 0
    np.testing.assert_allclose(both.doubt, (first.doubt + second.doubt) / 2)
