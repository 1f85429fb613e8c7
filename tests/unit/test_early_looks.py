"""`style` and `patches`: what the beginning of a network sees, and that it sees it where it says."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from explorer.errors import BadInput
from explorer.extractors import load
from explorer.extractors.patches import DIM, GRID, SIDE, Patches, window
from explorer.extractors.style import Style


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@cache
def photographs() -> tuple[np.ndarray, np.ndarray]:
    """A temple and a flower, 420 × 420."""
    china, flower = (np.ascontiguousarray(picture[:420, 100:520]) for picture in load_sample_images().images)
    return china, flower


def shuffled(picture: np.ndarray, tiles: int, seed: int) -> np.ndarray:
    side = picture.shape[0] // tiles
    cut = picture.reshape(tiles, side, tiles, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    mixed = cut[np.random.default_rng(seed).permutation(len(cut))]
    return mixed.reshape(tiles, tiles, side, side, 3).swapaxes(1, 2).reshape(picture.shape)


def unit_rows(extractor, pictures: list[np.ndarray]) -> np.ndarray:
    batch = np.stack([extractor.prepare(picture) for picture in pictures])
    size = extractor.batch_size
    found = np.concatenate([extractor.compute(batch[start : start + size]) for start in range(0, len(batch), size)])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["style", "patches"])
def test_shuffled_tiles_stay_near_the_whole_and_far_from_another_picture(name: str, models: Path) -> None:
    extractor = load(name, models)
    whole = unit_rows(extractor, list(photographs()))
    mixed = unit_rows(extractor, [shuffled(picture, 3, seed) for picture in photographs() for seed in range(3)])
    near = mixed @ whole.T
    own, other = near[:3, 0], near[:3, 1]
    assert own.min() > 0.9
    assert own.min() > other.max() + 0.1
    assert near[3:, 1].min() > near[3:, 0].max() + 0.1


def test_lite0_minds_the_shuffling_more_than_style(models: Path) -> None:
    """What is in no place is what sets style apart from content."""
    pictures = [*photographs(), *(shuffled(picture, 3, 0) for picture in photographs())]
    lost = {}
    for name in ("lite0", "style"):
        rows = unit_rows(load(name, models), pictures)
        lost[name] = np.mean([1 - rows[0] @ rows[2], 1 - rows[1] @ rows[3]]) / (1 - rows[0] @ rows[1])
    assert lost["style"] < 0.5 * lost["lite0"]


def test_a_part_is_made_like_the_whole(models: Path) -> None:
    """Pieces of two pictures, all as large: those of one picture are nearer to each other than to the other's."""
    style = load("style", models)
    pieces = [picture[y : y + 260, x : x + 260] for picture in photographs() for y in (0, 160) for x in (0, 160)]
    near = (rows := unit_rows(style, pieces)) @ rows.T
    same = np.kron(np.eye(2), np.ones((4, 4))) > 0
    assert near[same].mean() > near[~same].mean() + 0.1


def test_style_has_no_bars(models: Path) -> None:
    """A wide picture is filled up with itself: its style is nearer to that of its square parts than with bars."""
    style = load("style", models)
    picture = photographs()[0]
    wide = picture[:140]
    barred = np.full((420, 420, 3), np.median(wide[[0, -1]].reshape(-1, 3), axis=0).astype(np.uint8))
    barred[140:280] = wide
    square, ours, bars = unit_rows(style, [np.concatenate([wide, wide[::-1], wide]), wide, barred])
    assert square @ ours > square @ bars + 0.05


def test_covariances_are_those_of_the_channels(models: Path) -> None:
    """Against NumPy, from the network's own maps."""
    import torch

    from explorer.extractors.lite import classifier

    network, style = classifier(), load("style", models, exact=True)
    inputs = np.stack([style.prepare(picture) for picture in photographs()])
    seen = {}
    for name, bn in (("first", network.blocks[1][0].bn3), ("second", network.blocks[2][0].bn3)):
        bn.register_forward_pre_hook(lambda bn, given, name=name: seen.__setitem__(name, (bn, given[0].numpy())))
    with torch.no_grad():
        network.forward_features((torch.from_numpy(inputs).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5)
    parts = []
    for bn, maps in seen.values():
        mean, spread = (values.numpy()[:, None, None] for values in (bn.running_mean, (bn.running_var + bn.eps).sqrt()))
        flat = ((maps - mean) / spread).reshape(*maps.shape[:2], -1)  # mean 0 and variance 1 over ImageNet
        triangles = np.stack([np.cov(each, bias=True)[np.triu_indices(len(each))] for each in flat])
        rooted = np.sign(triangles) * np.sqrt(np.abs(triangles))
        parts.append(rooted / np.linalg.norm(rooted, axis=1, keepdims=True))
    assert np.allclose(style.compute(inputs), np.concatenate(parts, axis=1), atol=2e-3)


# --- patches ---


@pytest.fixture(scope="module")
def patches(models: Path) -> Patches:
    return Patches(models)


def test_a_place_sees_its_window_and_nothing_else(patches: Patches) -> None:
    """At most 33 of 224 pixels: everything outside is replaced by noise."""
    picture = patches.prepare(photographs()[0])
    before = patches.places(picture[None])[0]
    noise = np.random.default_rng(0).integers(0, 256, picture.shape, dtype=np.uint8)
    for row, column in ((0, 0), (15, 15), (7, 22), (GRID - 1, GRID - 1), (0, 11)):
        seen = window(row, column)
        assert all((part.stop - part.start) * 224 / SIDE <= 33 for part in seen)
        outside = noise.copy()
        outside[seen] = picture[seen]
        assert np.array_equal(patches.places(outside[None])[0, row, column], before[row, column])
        inside = picture.copy()
        inside[seen] = noise[seen]
        assert np.abs(patches.places(inside[None])[0, row, column] - before[row, column]).max() > 0.1


def test_a_linear_score_is_the_mean_of_the_scores_of_its_places(patches: Patches) -> None:
    batch = np.stack([patches.prepare(picture) for picture in photographs()])
    places, vectors = patches.places(batch), patches.compute(batch)
    assert places.shape == (2, GRID, GRID, DIM)
    assert places.dtype == np.float32
    weights = np.random.default_rng(4).normal(size=DIM).astype(np.float32)
    assert np.allclose((places @ weights).mean(axis=(1, 2)), vectors @ weights, atol=2e-3)
    assert np.abs(vectors @ weights).min() > 0.1, "or the line above says little"


def test_evidence_has_a_place(patches: Patches) -> None:
    """A score that tells temple from flower finds the flower where it was pasted."""
    china, flower = (patches.prepare(picture) for picture in photographs())
    pasted = china.copy()
    pasted[120:200, 40:120] = flower[80:160, 80:160]
    pair = patches.compute(np.stack([china, flower]))
    scores = patches.places(pasted[None])[0] @ (pair[1] - pair[0])
    grown = scores - patches.places(china[None])[0] @ (pair[1] - pair[0])
    inside = np.zeros((GRID, GRID), bool)
    inside[16:24, 6:14] = True
    assert scores[inside].mean() > scores[~inside].mean()
    touched = np.zeros((SIDE, SIDE), bool)
    touched[120:200, 40:120] = True
    reached = np.array([[touched[window(row, column)].any() for column in range(GRID)] for row in range(GRID)])
    assert not grown[~reached].any()
    assert grown[inside].sum() > 0.6 * np.abs(grown).sum()


def test_without_openvino_the_same_vectors_come_from_torch(monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    exact = [Style(models, exact=True), Patches(models, exact=True)]
    monkeypatch.setattr("explorer.extractors.backends.has_openvino", lambda: False)
    for ours, plain in zip(exact, (Style(), Patches()), strict=True):
        assert plain.spec.backend.startswith("torch")
        assert plain.spec.key != ours.spec.key
        batch = np.stack([plain.prepare(picture) for picture in photographs()])
        assert np.abs(plain.compute(batch) - ours.compute(batch)).max() < 5e-3


@pytest.mark.parametrize("name", ["style:x", "style@block2", "patches:33", "patches@late"])
def test_nothing_may_follow_the_name(name: str) -> None:
    with pytest.raises(BadInput, match="takes nothing after it"):
        load(name)
