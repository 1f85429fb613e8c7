"""Networks of timm by name, by repository and from a checkpoint: the real loading code on small random weights."""

import time
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images

from explorer.errors import BadInput, Missing
from explorer.extractors import backends, load, load_like, timm_networks, title_of
from explorer.extractors.base import Layered
from explorer.extractors.preprocessing import whole_picture

SIDE = 160


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A residual network with 7 classes and a transformer with 3, as someone would have saved them after training."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for seed, (name, classes) in enumerate({"test_resnet": 7, "test_vit": 3}.items()):
        torch.manual_seed(seed)
        weights = timm.create_model(name, num_classes=classes).state_dict()
        torch.save(weights, folder / f"{name}.pth")
        save_file({key: tensor.contiguous() for key, tensor in weights.items()}, folder / f"{name}.safetensors")
    return folder


@pytest.fixture
def torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without converting anything, which takes most of the time."""
    monkeypatch.setattr("explorer.extractors.backends.has_openvino", lambda: False)
    monkeypatch.setattr(timm_networks, "_tower", timm_networks._tower.__wrapped__)


def inputs() -> np.ndarray:
    china, flower = load_sample_images().images
    cuts = [china, flower, china[:200, :500], flower[100:300, 50:250]]
    return np.stack([whole_picture(each, SIDE) for each in cuts])


def saved(folder: Path, name: str, classes: int) -> tuple[torch.nn.Module, torch.Tensor]:
    network = timm.create_model(name, num_classes=classes, checkpoint_path=str(folder / f"{name}.pth")).eval()
    mean, std = (torch.tensor(network.default_cfg[each]).reshape(3, 1, 1) for each in ("mean", "std"))
    return network, (torch.from_numpy(inputs()).permute(0, 3, 1, 2) / 255 - mean) / std


@pytest.mark.parametrize(("name", "classes", "blocks"), [("test_resnet", 7, 5), ("test_vit", 3, 6)])
def test_the_end_and_the_layers_are_what_timm_gives(
    folder: Path, torch_alone: None, name: str, classes: int, blocks: int
) -> None:
    network, scaled = saved(folder, name, classes)
    with torch.no_grad():
        end = network.forward_head(network.forward_features(scaled), pre_logits=True).numpy()
        maps = [each.numpy() for each in network.forward_intermediates(scaled, intermediates_only=True)]
    assert len(maps) == blocks
    extractor = load(f"timm:{name}/{folder / name}.pth")
    assert (extractor.spec.dim, extractor.min_side) == (end.shape[1], SIDE)
    batch = np.stack([extractor.prepare(each) for each in load_sample_images().images])
    assert np.array_equal(batch, inputs()[:2]), "the whole picture between bars"
    assert np.allclose(extractor.compute(inputs()), end, atol=1e-4 * np.abs(end).max())
    for place in (0, blocks - 1):
        layer = load(f"timm:{name}/{folder / name}.pth@block{place}")
        expected = np.concatenate([maps[place].mean((2, 3)), maps[place].std((2, 3))], axis=1)
        assert isinstance(layer, Layered)
        assert layer.network == extractor.network
        assert layer.spec.dim == layer.card.dim == expected.shape[1]
        assert np.allclose(layer.compute(inputs()), expected, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(BadInput, match=rf"no layer 'block{blocks}'.*to block{blocks - 1} \(late\)"):
        load(f"timm:{name}/{folder / name}.pth@block{blocks}")


def test_converted_it_still_says_what_timm_says(folder: Path, tmp_path: Path) -> None:
    network, scaled = saved(folder, "test_resnet", 7)
    with torch.no_grad():
        end = network.forward_head(network.forward_features(scaled), pre_logits=True).numpy()
    fast = load(f"timm:test_resnet/{folder}/test_resnet.pth", tmp_path)
    exact = load(f"timm:test_resnet/{folder}/test_resnet.pth", tmp_path, exact=True)
    assert (fast.spec.backend, exact.spec.precision) == ("openvino", "fp32")
    ours = fast.compute(inputs())
    cosine = np.sum(ours * end, axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(end, axis=1)
    assert cosine.min() >= 0.99
    assert np.allclose(exact.compute(inputs()), end, atol=1e-4 * np.abs(end).max())
    assert len(list(tmp_path.glob("*/model.xml"))) == 1
    assert load_like(fast.spec, tmp_path).spec == fast.spec


def test_a_converted_network_that_says_otherwise_is_not_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def bad(name: str, weights: str, build: object, example: np.ndarray, models_dir: object, exact: bool) -> object:
        asked.append(exact)
        network = backends.TorchNetwork(build())  # type: ignore[operator]
        module = network._module
        network._module = lambda batch: module(batch).flip(1)
        network.backend, network.precision = "openvino", "fp32" if exact else "bf16"
        return network

    monkeypatch.setattr("explorer.extractors.backends.has_openvino", lambda: True)
    monkeypatch.setattr("explorer.extractors.choice.openvino_network", bad)
    monkeypatch.setattr(timm_networks, "_tower", timm_networks._tower.__wrapped__)
    extractor = load(f"timm:test_resnet/{folder}/test_resnet.pth")
    assert asked == [False, True], "single precision is tried before PyTorch"
    assert extractor.spec.backend == "torch-cpu"


def test_weights_make_the_identity_and_their_file_does_not(folder: Path, tmp_path: Path, torch_alone: None) -> None:
    plain, safe = (load(f"timm:test_vit/{folder}/test_vit.{kind}") for kind in ("pth", "safetensors"))
    weights = torch.load(folder / "test_vit.pth", weights_only=True)
    torch.save({"state_dict": {f"module.model.{name}": each for name, each in weights.items()}}, tmp_path / "run.ckpt")
    wrapped = load(f"timm:test_vit/{tmp_path}/run.ckpt")
    assert plain.spec.weights == safe.spec.weights == wrapped.spec.weights
    assert np.array_equal(plain.compute(inputs()), wrapped.compute(inputs()))
    weights["head.weight"] += 1
    torch.save(weights, tmp_path / "classes.pth")
    assert load(f"timm:test_vit/{tmp_path}/classes.pth").spec.weights == plain.spec.weights, "the classes are left off"
    weights["blocks.2.norm1.weight"] += 1
    torch.save(weights, tmp_path / "other.pth")
    assert load(f"timm:test_vit/{tmp_path}/other.pth").spec.key != plain.spec.key


def test_a_checkpoint_that_does_not_fit_says_where(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"test_vit\.pth does not hold weights of 'test_resnet'; it lacks: conv1"):
        load(f"timm:test_resnet/{folder}/test_vit.pth")
    weights = torch.load(folder / "test_vit.pth", weights_only=True)
    del weights["blocks.0.attn.qkv.weight"]
    weights["surplus"] = torch.zeros(2)
    weights["pos_embed"] = torch.zeros(1, 50, 64)
    torch.save(weights, tmp_path / "odd.pth")
    with pytest.raises(BadInput) as caught:
        load(f"timm:test_vit/{tmp_path}/odd.pth")
    for words in ("it lacks: blocks.0.attn.qkv.weight", "it has besides: surplus", "other shapes: pos_embed"):
        assert words in str(caught.value)
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(BadInput, match=r"text\.pth does not hold weights of 'test_vit'"):
        load(f"timm:test_vit/{tmp_path}/text.pth")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(BadInput, match=r"text\.safetensors does not hold weights"):
        load(f"timm:test_vit/{tmp_path}/text.safetensors")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(BadInput, match=r"list\.pth does not hold weights"):
        load(f"timm:test_vit/{tmp_path}/list.pth")
    torch.save(dict.fromkeys(timm.create_model("test_vit").state_dict(), 1), tmp_path / "numbers.pth")
    with pytest.raises(BadInput, match=r"numbers\.pth does not hold weights .*other shapes"):
        load(f"timm:test_vit/{tmp_path}/numbers.pth")
    with pytest.raises(Missing, match="no checkpoint"):
        load(f"timm:test_vit/{tmp_path}/gone.pth")


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    torch.save({"head.weight": Touch(tmp_path / "touched")}, tmp_path / "evil.pth")
    with pytest.raises(BadInput, match=r"evil\.pth does not hold weights"):
        load(f"timm:test_vit/{tmp_path}/evil.pth")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm", "write timm:NAME"),
        ("timm:resnet5", "Near it are: .*resnet50"),
        ("timm:test_vit4.nobody", "published weights|no network"),
        ("timm:hf-hub:nobody", "write OWNER/NAME"),
        ("timm:hf-hub:../etc/passwd", "write OWNER/NAME"),
    ],
)
def test_unknown_names_are_refused_with_what_there_is(name: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        load(name)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "hub"


def repository(cache: Path, name: str) -> Path:
    """The folder in which the hub's cache has the files of a repository that was downloaded once."""
    place = cache / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0123456789abcdef0123456789abcdef01234567")
    files = place / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    files.mkdir(parents=True)
    return files


def test_published_weights_that_cannot_be_had_are_said_to_be_missing_at_once(offline: Path) -> None:
    for name in ("timm:resnet18.a1_in1k", "timm:hf-hub:someone/satellite-vit"):
        before = time.monotonic()
        with pytest.raises(Missing) as caught:
            load(name)
        assert time.monotonic() - before < 20
        for words in (name, "huggingface.co is out of reach", "lite0"):
            assert words in str(caught.value)


def test_published_weights_are_loaded_from_the_cache_without_the_network(
    folder: Path, offline: Path, torch_alone: None
) -> None:
    config = timm.get_pretrained_cfg("test_vit.r160_in1k")
    assert config is not None
    files = repository(offline, config.hf_hub_id)
    torch.manual_seed(9)
    network = timm.create_model("test_vit", num_classes=1000).eval()
    save_file({name: each.contiguous() for name, each in network.state_dict().items()}, files / "model.safetensors")
    extractor = load("timm:test_vit.r160_in1k")
    mean, std = (torch.tensor(network.default_cfg[each]).reshape(3, 1, 1) for each in ("mean", "std"))
    with torch.no_grad():
        scaled = (torch.from_numpy(inputs()).permute(0, 3, 1, 2) / 255 - mean) / std
        end = network.forward_head(network.forward_features(scaled), pre_logits=True).numpy()
    assert np.allclose(extractor.compute(inputs()), end, atol=1e-4)
    assert title_of("timm:test_vit.r160_in1k@block2") == "What it shows, a network by name (test_vit.r160_in1k, block2)"


def test_a_repository_brings_its_architecture_and_its_preparation(offline: Path, torch_alone: None) -> None:
    files = repository(offline, "someone/satellite")
    torch.manual_seed(4)
    network = timm.create_model("test_resnet", num_classes=4)
    network.pretrained_cfg = {**network.pretrained_cfg, "input_size": (3, 96, 96), "mean": (0.1, 0.2, 0.3)}
    timm.models.save_for_hf(network, files)
    extractor = load("timm:hf-hub:someone/satellite@block1")
    assert extractor.min_side == 96
    assert "mean=0.1,0.2,0.3" in extractor.spec.preprocessing
    assert extractor.compute(extractor.prepare(load_sample_images().images[0])[None]).shape == (1, 64)
    (repository(offline, "someone/else") / "config.json").write_text('{"architecture": "not_of_timm"}')
    save_file({"x": torch.zeros(1)}, repository(offline, "someone/third") / "model.safetensors")
    with pytest.raises(Missing, match=r"someone/else.*out of reach"):
        load("timm:hf-hub:someone/else")
    save_file({"x": torch.zeros(1)}, next(offline.glob("*else/snapshots/*")) / "model.safetensors")
    with pytest.raises(BadInput, match="'someone/else' does not hold a network of timm"):
        load("timm:hf-hub:someone/else")
