"""Embedding photographs: against the loop that others use, and as a share of what the cores allow.

640×480 JPEGs made here (fine and coarse noise with shapes, quality 88), as files on the disk, all of them in the page
cache for both arms; networks converted and loaded, one batch each before the clock starts. Ours is the app's own pass
from files to stored features and thumbnails. The other loop does the same work as the other programs do it: Pillow
decodes in full, torch computes eagerly in single precision on all cores, 32 at a time, and a thumbnail of the same size
and quality is written for each. The arms take turns; a figure is the median of the rounds.
"""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.collections import kept_workspace
from explorer.durable import replacing

if TYPE_CHECKING:
    from explorer.collection.dataset import Dataset
    from explorer.extractors import Extractor

TARGETS = {
    "ratio_to_naive.lite0": ">= 5",
    "ratio_to_naive.vit_b_32": ">= 2",
    "share_of_limit.lite0": ">= 0.9",
    "min_cosine.lite0": ">= 0.99",
}
COUNT = int(os.environ.get("EXPLORER_BENCH_EMBED", "1000"))
"""Photographs for `lite0`; the slower arms take a part of them."""
ROUNDS = 5
NAIVE_BATCH = 32
WIDTH, HEIGHT, QUALITY = 640, 480, 88
VIT = "ViT-B-32"


def run() -> dict[str, Any]:
    """Every figure; EXPLORER_BENCH_EMBED lowers the number of photographs (1,000)."""
    from explorer.extractors import load
    from explorer.extractors.backends import usable_cores

    cores = usable_cores()
    models = kept_workspace().models
    with tempfile.TemporaryDirectory(prefix="explorer-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        files = photographs(folder / "photographs", COUNT)
        lite, exact = load("lite0", models), load("lite0", models, exact=True)
        vit = load(f"open_clip:{VIT}/{checkpoint()}", models)
        arms: dict[str, tuple[Callable[[list[Path]], float], int]] = {
            "lite0": (lambda some: ours(some, lite, folder), COUNT),
            "lite0_fp32": (lambda some: ours(some, exact, folder), COUNT // 2),
            "naive_lite0": (_naive_lite(folder), max(NAIVE_BATCH, COUNT // 6)),
            "vit_b_32": (lambda some: ours(some, vit, folder), max(NAIVE_BATCH, COUNT // 8)),
            "naive_vit_b_32": (_naive_vit(folder), max(NAIVE_BATCH, COUNT // 20)),
        }
        rates: dict[str, list[float]] = {name: [] for name in arms}
        costs: list[dict[str, float]] = []
        for _ in range(ROUNDS):
            for name, (arm, count) in arms.items():
                rates[name].append(arm(files[:count]))
            costs.append(alone(files[: COUNT // 2], lite))
        cosines = {"lite0": least_cosines(lite, files[:256], _naive_vectors_lite())}
    limits = [cores / sum(each.values()) for each in costs]
    figures = {
        "ratio_to_naive.lite0": _ratio(rates["lite0"], rates["naive_lite0"]),
        "ratio_to_naive.lite0_fp32": _ratio(rates["lite0_fp32"], rates["naive_lite0"]),
        "ratio_to_naive.vit_b_32": _ratio(rates["vit_b_32"], rates["naive_vit_b_32"]),
        "share_of_limit.lite0": _ratio(rates["lite0"], limits),
        "min_cosine.lite0": float(cosines["lite0"].min()),
        **{f"images_per_s.{name}": statistics.median(found) for name, found in rates.items()},
    }
    detail = {
        "rounds": rates,
        "core_milliseconds": {name: 1000 * statistics.median(each[name] for each in costs) for name in costs[0]},
        "limit_images_per_s": limits,
        "median_cosine.lite0": float(np.median(cosines["lite0"])),
        "backends": {name: f"{each.spec.backend} {each.spec.precision}"
                     for name, each in (("lite0", lite), ("lite0_fp32", exact), ("vit_b_32", vit))},
        "photographs": COUNT,
        "caches": "files in the page cache, networks converted and loaded, for both arms",
    }  # fmt: skip
    return {"figures": figures, "detail": detail}


def photographs(folder: Path, count: int) -> list[Path]:
    """`count` JPEGs of 640 by 480, about 55 KB each, no two alike; always the same."""
    import cv2
    import simplejpeg

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    grounds = [_noise(rng) for _ in range(24)]
    paths = []
    for number in range(count):
        values = grounds[number % len(grounds)] + 0.5 * np.roll(grounds[rng.integers(24)], rng.integers(400), axis=1)
        pixels = np.clip(128 + 45 * values + rng.normal(0, 12, 3), 0, 255).astype(np.uint8)
        for _ in range(6):
            colour = tuple(int(value) for value in rng.integers(0, 256, 3))
            middle = (int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)))
            cv2.circle(pixels, middle, int(rng.integers(10, 90)), colour, -1, cv2.LINE_AA)
        path = folder / f"{number:06d}.jpg"
        path.write_bytes(simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorspace="RGB", colorsubsampling="420"))
        paths.append(path)
    return paths


def _noise(rng: np.random.Generator) -> np.ndarray:
    """(480, 640, 3) float32 with the spectrum of photographs: strength falls as one over frequency."""
    rows, columns = np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None]
    fall = 1 / np.maximum(np.hypot(rows, columns), 1 / WIDTH)
    spectrum = np.fft.rfft2(rng.normal(size=(3, HEIGHT, WIDTH))) * fall
    values = np.fft.irfft2(spectrum, s=(HEIGHT, WIDTH)).transpose(1, 2, 0)
    return np.ascontiguousarray(values / values.std(), np.float32)


def checkpoint() -> Path:
    """ViT-B-32 with random weights, always the same: speed does not depend on them. Kept, as its conversion is."""
    path = kept_workspace().root / "vit-b-32-random.safetensors"
    if path.exists():
        return path
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    with replacing(path) as beside:
        save_file(open_clip.create_model(VIT, pretrained=None).state_dict(), beside)
    return path


def ours(files: list[Path], extractor: "Extractor", folder: Path) -> float:
    """Pictures a second of the app's own pass over files that were listed and hashed."""
    from explorer.collection.embedding import embed

    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as place:
        dataset = listed(files, Path(place))
        extractor.compute(np.stack([extractor.prepare(np.zeros((300, 400, 3), np.uint8))] * extractor.batch_size))
        began = time.perf_counter()
        embed(dataset, [extractor])
        seconds = time.perf_counter() - began
        assert len(dataset.features(extractor.spec)) == len(files)
    return len(files) / seconds


def listed(files: list[Path], root: Path) -> "Dataset":
    """A collection of these files, nothing computed."""
    from explorer.collection.dataset import Dataset
    from explorer.workspace import Workspace

    pictures = root / "pictures"
    pictures.mkdir(parents=True)
    for path in files:
        (pictures / path.name).hardlink_to(path)
    dataset = Dataset.create(Workspace(root), "speed", {"kind": "folder", "path": str(pictures)}, "speed")
    dataset.rescan()
    return dataset


def alone(files: list[Path], extractor: "Extractor") -> dict[str, float]:
    """Core-seconds a picture of each step that cannot be left out, each by itself on all cores."""
    from explorer.collection.embedding import DECODE_SIDE
    from explorer.collection.images import decode, thumbnail
    from explorer.extractors.backends import usable_cores

    cores, size = usable_cores(), extractor.batch_size
    contents = [path.read_bytes() for path in files]
    small = [decode(data, DECODE_SIDE).rgb for data in contents[:200]]
    inputs = [extractor.prepare(rgb) for rgb in small]
    batches = [np.stack((inputs * size)[start : start + size]) for start in range(0, 200, size)]
    times = max(1, len(files) // 200)
    every = [small[number % len(small)] for number in range(len(files))]

    def seconds(work: Callable[[Any], Any], parts: list[Any], pictures: int) -> float:
        parts = [parts[start::cores] for start in range(cores)]
        with ThreadPoolExecutor(cores) as pool:
            began = time.perf_counter()
            list(pool.map(lambda some: [work(each) for each in some] and None, parts))
            return (time.perf_counter() - began) * cores / pictures

    return {
        "decode": seconds(lambda data: decode(data, DECODE_SIDE), contents, len(contents)),
        "resize": seconds(extractor.prepare, every, len(every)),
        "thumbnail": seconds(thumbnail, every, len(every)),
        "compute": seconds(extractor.compute, batches * times, size * len(batches) * times),
    }


def naive(files: list[Path], compute: Callable[[Any], Any], prepare: Callable[[Any], Any], folder: Path) -> float:
    """Pictures a second of a plain loop: Pillow, torch, a file for each thumbnail, the vectors at the end."""
    import torch

    thumbs = folder / "thumbs"
    thumbs.mkdir()
    began = time.perf_counter()
    rows = []
    with torch.inference_mode():
        for start in range(0, len(files), NAIVE_BATCH):
            batch = [_opened(path, prepare, thumbs) for path in files[start : start + NAIVE_BATCH]]
            rows.append(compute(torch.stack(batch)).float().numpy())
    np.save(folder / "naive.npy", np.concatenate(rows))
    seconds = time.perf_counter() - began
    shutil.rmtree(thumbs)
    return len(files) / seconds


def _opened(path: Path, prepare: Callable[[Any], Any], thumbs: Path) -> Any:
    from PIL import Image

    with Image.open(path) as image:
        rgb = image.convert("RGB")
    small = rgb.copy()
    small.thumbnail((256, 256))
    small.save(thumbs / path.name, quality=85)
    return prepare(rgb)


def _naive_lite(folder: Path) -> Callable[[list[Path]], float]:
    import torch
    from PIL import Image

    from explorer.extractors.lite import pooled_network

    network = pooled_network()

    def prepare(rgb: Any) -> Any:
        return torch.from_numpy(np.array(rgb.resize((224, 224), Image.Resampling.BICUBIC)))

    with torch.inference_mode():
        network(torch.zeros(NAIVE_BATCH, 224, 224, 3, dtype=torch.uint8))
    return lambda files: naive(files, network, prepare, folder)


def _naive_vit(folder: Path) -> Callable[[list[Path]], float]:
    import open_clip
    import torch

    model, _, transform = open_clip.create_model_and_transforms(VIT, pretrained=str(checkpoint()))
    model.eval()
    with torch.inference_mode():
        model.encode_image(torch.zeros(NAIVE_BATCH, 3, 224, 224))
    return lambda files: naive(files, model.encode_image, transform, folder)


def _naive_vectors_lite() -> Callable[[np.ndarray], np.ndarray]:
    import torch

    from explorer.extractors.lite import pooled_network

    network = pooled_network()

    def compute(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(batch)).numpy()

    return compute


def least_cosines(
    extractor: "Extractor", files: Iterable[Path], eager: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """(n,) cosine of each picture's vector to what eager single precision makes of the same input."""
    from explorer.collection.images import decode

    inputs = np.stack([extractor.prepare(decode(path.read_bytes()).rgb) for path in files])
    size = extractor.batch_size
    found = []
    for start in range(0, len(inputs), size):
        fast, slow = extractor.compute(inputs[start : start + size]), eager(inputs[start : start + size])
        found.append((fast * slow).sum(1) / np.linalg.norm(fast, axis=1) / np.linalg.norm(slow, axis=1))
    return np.concatenate(found)


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """The median over the rounds, each against its own."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def markdown(result: dict[str, Any]) -> str:
    """A table for README: the ratio first."""
    figures, parts = result["figures"], result["detail"]["core_milliseconds"]
    lines = ["| | times the plain loop | pictures a second | the plain loop |", "|---|---|---|---|"]
    for name, title, loop in (
        ("lite0", "`lite0`", "naive_lite0"),
        ("lite0_fp32", "`lite0`, `--exact`", "naive_lite0"),
        ("vit_b_32", "ViT-B-32 of `open_clip` (random weights)", "naive_vit_b_32"),
    ):
        rates = f"{figures[f'images_per_s.{name}']:,.0f} | {figures[f'images_per_s.{loop}']:,.0f}"
        lines.append(f"| {title} | {figures[f'ratio_to_naive.{name}']:.1f} | {rates} |")
    share, cosine = f"{figures['share_of_limit.lite0']:.2f}", f"{figures['min_cosine.lite0']:.4f}"
    steps = ", ".join(f"{name} {value:.1f}" for name, value in parts.items())
    lines.append(
        f"\n640×480 JPEGs, files to stored vectors and thumbnails. `lite0` reaches {share.removeprefix('0')} of what "
        f"the cores allow (core-milliseconds a picture, each step alone: {steps}); least cosine to eager fp32 "
        f"{cosine.removeprefix('0')}."
    )
    return "\n".join(lines)
