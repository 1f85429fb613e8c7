"""Pictures from above by their bands: how much light of each, and what grows, is wet or is built, without a network.

Indices: NDVI (Rouse et al. 1974), NDWI (McFeeters 1996), NDBI (Zha et al. 2003), EVI (Huete et al. 2002), SAVI (Huete
1988); of visible light alone VARI (Gitelson et al. 2002), GLI (Louhaichi et al. 2001) and excess green (Woebbecke et
al. 1995).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from explorer.errors import Missing, Unreadable
from explorer.extractors import geotiff
from explorer.extractors.base import Card, Family, FeatureSpec

SIDE = 512
"""Bands are averaged down to this on the longer side: a hectare's texture stays, a tile costs milliseconds."""
BANDS = 16
"""Bands that have a place of their own in the vector, in the order of the file; a Sentinel-2 file has 13."""
BINS = 8
_SHARES = (5, 25, 50, 75, 95)
_TINY = 1e-6

Bands = dict[str, np.ndarray]


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.abs(b) > _TINY, a / np.where(np.abs(b) > _TINY, b, 1), 0)


INDICES: dict[str, tuple[tuple[str, ...], Callable[[Bands], np.ndarray]]] = {
    "NDVI": (("nir", "red"), lambda b: _ratio(b["nir"] - b["red"], b["nir"] + b["red"])),
    "NDWI": (("green", "nir"), lambda b: _ratio(b["green"] - b["nir"], b["green"] + b["nir"])),
    "NDBI": (("swir1", "nir"), lambda b: _ratio(b["swir1"] - b["nir"], b["swir1"] + b["nir"])),
    "EVI": (
        ("nir", "red", "blue"),
        lambda b: _ratio(2.5 * (b["nir"] - b["red"]), b["nir"] + 6 * b["red"] - 7.5 * b["blue"] + 1),
    ),
    "SAVI": (("nir", "red"), lambda b: _ratio(1.5 * (b["nir"] - b["red"]), b["nir"] + b["red"] + 0.5)),
    "VARI": (("green", "red", "blue"), lambda b: _ratio(b["green"] - b["red"], b["green"] + b["red"] - b["blue"])),
    "GLI": (
        ("green", "red", "blue"),
        lambda b: _ratio(2 * b["green"] - b["red"] - b["blue"], 2 * b["green"] + b["red"] + b["blue"]),
    ),
    "ExG": (
        ("green", "red", "blue"),
        lambda b: _ratio(2 * b["green"] - b["red"] - b["blue"], b["red"] + b["green"] + b["blue"]),
    ),
}
"""Which bands each index needs, and how it is made of them; the vector has them in this order."""
_PLAIN, _THERE = 0, 3
_INDEX_AT = _THERE + 7 + BANDS * (1 + len(_SHARES))
_INDEX = 2 + BINS
DIM = _INDEX_AT + len(INDICES) * _INDEX

CARD = Card(
    title="Seen from above",
    sees="In pictures from satellites and aeroplanes: the light in each band, and what grows, is wet or is built. Of "
    "an ordinary picture it sees how green it is.",
    ignores="Shapes, places and things. It does not correct for air, season or the height of the sun.",
    licence="Apache-2.0",
    aspect="satellite",
    dim=DIM,
)


def create(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "Spectral":
    try:
        import rasterio  # noqa: F401
    except ImportError as error:
        raise Missing(f"'spectral' needs another package ({error}): pip install rasterio") from error
    return Spectral()


class Spectral:
    """The extractor `spectral`. All is computed while the file is read: each has bands and a size of its own."""

    card = CARD
    min_side = 256
    batch_size = 64
    spec = FeatureSpec(
        extractor="spectral",
        weights="none",
        layer=f"{BANDS} bands, {len(INDICES)} indices",
        preprocessing=f"all bands, averaged to {SIDE}",
        backend="numpy",
        precision="fp32",
        dim=DIM,
    )

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to the vector of a plain picture, (186,) float32."""
        scene = geotiff.Scene(
            _smaller(rgb.astype(np.float32)).transpose(2, 0, 1),
            {"red": 0, "green": 1, "blue": 2},
            rgb.shape[1],
            rgb.shape[0],
            "uint8",
        )
        return vector(scene, plain=True)

    def prepare_file(self, data: bytes, rgb: np.ndarray) -> np.ndarray:
        """The vector from all bands of a file that was taken from above, else from the pixels."""
        if geotiff.is_geographic(data) or geotiff.has_bands(data):
            try:
                return vector(geotiff.read(data, side=SIDE), plain=False)
            except (Unreadable, Missing):  # a picture that can be shown has a vector
                pass
        return self.prepare(rgb)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, 186) float32: what was prepared."""
        return np.array(batch, np.float32)


def vector(scene: geotiff.Scene, plain: bool) -> np.ndarray:
    """(186,) float32, all finite.

    Flags: a plain picture; the share of pixels that hold anything; bands / 16. Seven numbers of texture: how far
    neighbouring pixels differ, of the brightness at three scales, its spread over an 8 x 8 grid and within its cells;
    the same of NDVI at one scale, and its spread over the grid. For each of 16 bands: is it there, and the 5th, 25th,
    50th, 75th and 95th percentile of its light. For each index: can it be told, its mean, and the roots of the shares
    of eight classes from -1 to 1. What cannot be told is zero.
    """
    light = scene.reflectance()
    there = np.isfinite(light).all(axis=0)
    out = np.zeros(DIM, np.float32)
    out[:_THERE] = plain, there.mean(), min(len(light), BANDS) / BANDS
    if not there.any():
        return out
    at = _THERE + 7
    for band in light[:BANDS]:
        seen = band[np.isfinite(band)]
        if len(seen):
            percentiles = np.percentile(seen, _SHARES)
            out[at : at + 6] = 1, *(np.sign(percentiles) * np.log1p(np.abs(percentiles)))
        at += 1 + len(_SHARES)
    named = {role: light[place] for role, place in scene.roles.items()}
    greenness = None
    for number, (name, (needs, formula)) in enumerate(INDICES.items()):
        if not named.keys() >= set(needs):
            continue
        with np.errstate(all="ignore"):
            index = np.clip(np.nan_to_num(formula(named), nan=0, posinf=1, neginf=-1), -1, 1)
        shares = np.histogram(index[there], BINS, (-1, 1))[0] / np.count_nonzero(there)
        at = _INDEX_AT + number * _INDEX
        out[at : at + _INDEX] = 1, index[there].mean(), *np.sqrt(shares)
        if name == "NDVI":
            greenness = np.where(there, index, index[there].mean())
    visible = [named[name] for name in ("red", "green", "blue") if name in named] or list(light)
    brightness = np.mean(visible, axis=0)
    brightness = np.where(there, np.log1p(np.abs(brightness)), np.log1p(np.abs(brightness[there])).mean())
    out[_THERE : _THERE + 7] = _texture(brightness, greenness)
    return np.nan_to_num(np.clip(out, -1000, 1000))


def index_of(row: np.ndarray, name: str) -> float | None:
    """The mean of an index in a feature row; None if the picture's bands did not tell it."""
    at = _INDEX_AT + list(INDICES).index(name) * _INDEX
    return float(row[at + 1]) if row[at] else None


def is_plain(row: np.ndarray) -> bool:
    """Whether a feature row was made of the pixels of an ordinary picture, without further bands."""
    return bool(row[_PLAIN])


def _texture(brightness: np.ndarray, greenness: np.ndarray | None) -> list[float]:
    found = []
    scaled = brightness.astype(np.float64)
    for _ in range(3):
        found.append(_roughness(scaled))
        scaled = _halved(scaled)
    cells = [cell for row in np.array_split(brightness, 8) for cell in np.array_split(row, 8, axis=1) if cell.size]
    found += [float(np.std([cell.mean() for cell in cells])), float(np.mean([cell.std() for cell in cells]))]
    if greenness is None:
        return [*found, 0.0, 0.0]
    cells = [cell for row in np.array_split(greenness, 8) for cell in np.array_split(row, 8, axis=1) if cell.size]
    return [*found, _roughness(greenness), float(np.std([cell.mean() for cell in cells]))]


def _roughness(values: np.ndarray) -> float:
    """The mean difference of neighbouring pixels."""
    steps = [np.abs(np.diff(values, axis=axis)).ravel() for axis in (0, 1)]
    every = np.concatenate(steps)
    return float(every.mean()) if every.size else 0.0


def _halved(values: np.ndarray) -> np.ndarray:
    height, width = (side // 2 * 2 for side in values.shape)
    if not height or not width:
        return values
    return values[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


def _smaller(values: np.ndarray) -> np.ndarray:
    import cv2

    scale = SIDE / max(values.shape[:2])
    if scale >= 1:
        return values
    size = (max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale)))
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA)


FAMILIES = (Family("spectral", CARD, create, alone=True),)
"""Classical: nothing was learnt, and every number can be looked up in `vector`."""
