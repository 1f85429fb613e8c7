"""Networks of the open_clip family: their own loading code, both sides, and clear words when weights are not there."""

import json
import time
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images

from explorer.errors import BadInput, Missing
from explorer.extractors import TextEncoder, load
from explorer.extractors.base import Layered

TINY = {
    "embed_dim": 20,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same random weights as tiny.pt and tiny.safetensors, others as other.pt."""
    folder = tmp_path_factory.mktemp("checkpoints")
    (folder / "tiny-vit.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder / "tiny-vit.json")
    for seed, name in ((1, "tiny"), (2, "other")):
        torch.manual_seed(seed)
        torch.save(open_clip.create_model("tiny-vit").state_dict(), folder / f"{name}.pt")
    weights = torch.load(folder / "tiny.pt", weights_only=True)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / "tiny.safetensors")
    return folder


def test_pictures_and_texts_come_out_as_open_clip_makes_them(folder: Path) -> None:
    ours = load(f"open_clip:tiny-vit/{folder / 'tiny.pt'}", exact=True)
    assert isinstance(ours, TextEncoder)
    assert ours.spec.dim == 20
    assert ours.min_side == 64
    model, _, transform = open_clip.create_model_and_transforms("tiny-vit", pretrained=str(folder / "tiny.pt"))
    pictures = load_sample_images().images
    texts = ["a temple with red columns", "a flower", ""] * 30
    with torch.no_grad():
        seen = model.eval().encode_image(torch.stack([transform(Image.fromarray(p)) for p in pictures])).numpy()
        read = model.encode_text(open_clip.get_tokenizer("tiny-vit")(texts)).numpy()
    assert np.allclose(ours.compute(np.stack([ours.prepare(picture) for picture in pictures])), seen, atol=1e-5)
    assert np.allclose(ours.encode_text(texts), read, atol=1e-5)
    assert ours.encode_text([]).shape == (0, 20)


def test_layers_are_what_the_blocks_of_the_image_side_give(folder: Path) -> None:
    name = f"open_clip:tiny-vit/{folder / 'tiny.pt'}"
    end = load(name, exact=True)
    model, _, transform = open_clip.create_model_and_transforms("tiny-vit", pretrained=str(folder / "tiny.pt"))
    pictures = load_sample_images().images
    with torch.no_grad():
        seen = model.eval().visual.forward_intermediates(torch.stack([transform(Image.fromarray(p)) for p in pictures]))
    for place, maps in enumerate(seen["image_intermediates"]):
        layer = load(f"{name}@block{place}", exact=True)
        assert isinstance(layer, Layered)
        assert isinstance(end, Layered)
        assert layer.network == end.network
        expected = np.concatenate([maps.mean((2, 3)).numpy(), maps.numpy().std((2, 3))], axis=1)
        assert layer.spec.dim == expected.shape[1] == 128
        assert layer.spec.extractor == f"{name}@block{place}"
        rows = layer.compute(np.stack([layer.prepare(picture) for picture in pictures]))
        assert np.allclose(rows, expected, atol=1e-4)
        assert not isinstance(layer, TextEncoder), "text is not told in a layer's numbers"
    with pytest.raises(BadInput, match=r"no layer 'block2'. It has block0 \(early\) to block1 \(late\)"):
        load(f"{name}@block2", exact=True)


def test_the_fast_one_stays_near_open_clip(folder: Path) -> None:
    fast, exact = (load(f"open_clip:tiny-vit/{folder / 'tiny.pt'}", exact=each) for each in (False, True))
    batch = np.stack([fast.prepare(picture) for picture in load_sample_images().images])
    a, b = fast.compute(batch), exact.compute(batch)
    assert (np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min() >= 0.99


def test_a_repository_of_the_hub_is_loaded_from_its_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Missing, match=r"hf-hub:someone/satellite-clip.*huggingface\.co is out of reach"):
        load("open_clip:hf-hub:someone/satellite-clip")
    place = tmp_path / "models--someone--satellite-clip"
    files = place / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    files.mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(files.name)
    settings = {"model_cfg": TINY, "preprocess_cfg": {"mean": [0.4, 0.4, 0.4], "std": [0.3, 0.3, 0.3]}}
    (files / "open_clip_config.json").write_text(json.dumps(settings))
    (files / "open_clip_model.safetensors").write_bytes((folder / "tiny.safetensors").read_bytes())
    ours = load("open_clip:hf-hub:someone/satellite-clip")
    assert isinstance(ours, TextEncoder)
    assert "mean=[0.4, 0.4, 0.4]" in ours.spec.preprocessing
    assert ours.spec.weights == load(f"open_clip:tiny-vit/{folder / 'tiny.safetensors'}").spec.weights
    assert ours.encode_text(["a field"]).shape == (1, 20)
    assert load("open_clip:hf-hub:someone/satellite-clip@block1").spec.dim == 128


def test_weights_make_the_identity(folder: Path) -> None:
    first, same, other = (
        load(f"open_clip:tiny-vit/{folder / name}") for name in ("tiny.pt", "tiny.safetensors", "other.pt")
    )
    picture = load_sample_images().images[0]
    rows = [each.compute(each.prepare(picture)[None])[0] for each in (first, same, other)]
    assert np.array_equal(rows[0], rows[1])
    assert not np.allclose(rows[0], rows[2], atol=1e-3)
    assert first.spec.weights != other.spec.weights
    assert first.spec.key != other.spec.key


def test_unknown_names_are_refused_with_what_there_is() -> None:
    with pytest.raises(BadInput, match="ViT-B-32"):
        load("open_clip:ViT-B-33/openai")
    with pytest.raises(BadInput, match="laion2b_s34b_b79k"):
        load("open_clip:ViT-B-32/laion5b")


def test_a_checkpoint_that_is_not_there_or_is_not_one(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no checkpoint"):
        load(f"open_clip:tiny-vit/{tmp_path / 'gone.pt'}")
    (tmp_path / "text.pt").write_text("not weights")
    with pytest.raises(BadInput, match=r"text\.pt does not hold weights of 'tiny-vit'"):
        load(f"open_clip:tiny-vit/{tmp_path / 'text.pt'}")
    torch.save({"visual.proj": torch.zeros(3)}, tmp_path / "half.pt")
    with pytest.raises(BadInput, match=r"half\.pt does not hold weights"):
        load(f"open_clip:tiny-vit/{tmp_path / 'half.pt'}")


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_a_checkpoint_runs_no_code(folder: Path, tmp_path: Path) -> None:
    program = f"cos\nsystem\n(S'touch {tmp_path / 'touched'}'\ntR."  # what a hostile pickle looks like inside
    (tmp_path / "evil.pt").write_bytes(program.encode())
    with pytest.raises(BadInput):
        load(f"open_clip:tiny-vit/{tmp_path / 'evil.pt'}")
    torch.save({"visual.proj": Touch(tmp_path / "touched")}, tmp_path / "evil2.pt")
    with pytest.raises(BadInput):
        load(f"open_clip:tiny-vit/{tmp_path / 'evil2.pt'}")
    assert not (tmp_path / "touched").exists()


def test_published_weights_that_cannot_be_had_are_said_to_be_missing_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = time.monotonic()
    with pytest.raises(Missing) as caught:
        load("open_clip:ViT-B-32/laion2b_s34b_b79k")
    assert time.monotonic() - before < 5
    message = str(caught.value)
    assert "laion2b_s34b_b79k" in message
    assert "huggingface.co" in message
    assert "lite0" in message
