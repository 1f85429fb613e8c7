"""TIFFs as satellites and aeroplanes take them: more bands than a screen has, values of 16 bits or fractions, a place.

Read with `rasterio` (GDAL) from memory, by its GeoTIFF reader alone and without looking for files beside; the bytes
are hostile. Whether a file is of this kind is told from its tags, without `rasterio`.
"""

import logging
import math
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.errors import Missing, Unreadable

MAX_SAMPLES = 400_000_000
"""Pixels times bands that are read."""
MAX_BANDS = 512
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _EXTRA, _FORMAT = 256, 257, 258, 262, 277, 338, 339
_GEO = {33550, 33922, 34264, 34735, 42112, 42113}
"""Pixel scale, tie points, transformation and keys of GeoTIFF; GDAL's metadata and its value for "nothing here"."""
_SENTINEL = "coastal blue green red rededge1 rededge2 rededge3 nir nir_narrow vapour cirrus swir1 swir2".split()
_LANDSAT = ["coastal", "blue", "green", "red", "nir", "swir1", "swir2"]
_BY_COUNT = {
    3: ["red", "green", "blue"],
    4: ["blue", "green", "red", "nir"],
    6: ["blue", "green", "red", "nir", "swir1", "swir2"],
    12: [name for name in _SENTINEL if name != "cirrus"],
    13: _SENTINEL,
}
"""What the bands are where the file does not say: the usual orders; 12 and 13 are Sentinel-2's (as ESA writes them)."""
_NUMBERED = {
    "1": "coastal", "2": "blue", "3": "green", "4": "red", "5": "rededge1", "6": "rededge2", "7": "rededge3",
    "8": "nir", "8a": "nir_narrow", "9": "vapour", "10": "cirrus", "11": "swir1", "12": "swir2",
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """The bands of one file."""

    values: np.ndarray
    """(bands, h, w) float32, as in the file; NaN where it says that there is nothing."""
    roles: dict[str, int]
    """What bands are ("red", "nir", "swir1", …) to their place in `values`; an alpha band is not among them."""
    width: int
    """Of the file, in pixels."""
    height: int
    kind: str
    """The type of the values in the file, as NumPy calls it."""

    def reflectance(self) -> np.ndarray:
        """The values as shares of the light, roughly: bytes by their range, whole numbers by the 10,000 that Sentinel-2
        and Landsat products use, fractions as they are unless most of them are far above one."""
        if self.kind == "uint8":
            return self.values / np.float32(255)
        seen = np.abs(self.values[np.isfinite(self.values)])
        whole = not self.kind.startswith("float")
        large = seen.size and float(np.percentile(seen, 98)) > 2
        return self.values / np.float32(10_000) if whole or large else self.values


@dataclass(frozen=True)
class GeoInfo:
    """Where a file belongs and how finely it was taken."""

    bands: int
    metres_per_pixel: float | None
    """On the ground, the mean of both directions; None if the file does not say."""
    crs: str
    """"EPSG:32633", or the name of the system; "" if the file does not say."""
    longitude: float | None
    """Of the middle, in degrees (WGS 84)."""
    latitude: float | None


def tags(data: bytes) -> dict[int, tuple[int, ...]]:
    """The short whole numbers in the first directory of a TIFF or BigTIFF (empty for other files), as far as it can be
    read; a tag of another type, or of more than 64 values, is there with no values."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    found: dict[int, tuple[int, ...]] = {}
    if order is None:
        return found
    try:
        big = struct.unpack_from(order + "H", data, 2)[0] == 43
        head, entry, inline = ("Q", "HHQ", 8) if big else ("H", "HHL", 4)
        (at,) = struct.unpack_from(order + ("Q" if big else "L"), data, 8 if big else 4)
        (count,) = struct.unpack_from(order + head, data, at)
        at += struct.calcsize("<" + head)
        size = struct.calcsize("<" + entry)
        for number in range(min(count, 500)):
            here = at + number * (size + inline)
            tag, kind, values = struct.unpack_from(order + entry, data, here)
            letter = {1: "B", 3: "H", 4: "L", 16: "Q"}.get(kind)
            found[tag] = ()
            if letter and values <= 64:
                whole = order + letter * values
                place = here + size
                if struct.calcsize(whole) > inline:
                    (place,) = struct.unpack_from(order + ("Q" if big else "L"), data, place)
                found[tag] = struct.unpack_from(whole, data, place)
    except struct.error:
        return found
    return found


def is_geographic(data: bytes) -> bool:
    """Whether a file is a TIFF that says where on the ground it belongs."""
    return bool(_GEO & tags(data).keys())


def has_bands(data: bytes) -> bool:
    """Whether a TIFF holds what a screen cannot show as it is: two bands or more than four, or, on the ground, values
    of more than 8 bits or a fourth band that is not transparency."""
    found = tags(data)
    samples = (found.get(_SAMPLES) or (1,))[0]
    if samples == 2 or samples > 4:
        return not (samples == 2 and found.get(_EXTRA) in ((1,), (2,)))
    if not _GEO & found.keys():
        return False
    deep = max(found.get(_BITS) or (1,)) > 8 or set(found.get(_FORMAT) or (1,)) != {1}
    return deep or (samples == 4 and found.get(_EXTRA) not in ((1,), (2,)) and found.get(_PHOTOMETRIC) != (5,))


def read(data: bytes, side: int = 0, shorter: int = 0, max_pixels: int = 100_000_000) -> Scene:
    """The bands, averaged down so far that the longer side has at most `side` pixels, or as far as the shorter keeps
    `shorter` (0: no wish). Raises Missing without `rasterio`, Unreadable for what is damaged or too large."""
    with _opened(data) as file:
        _check(file, max_pixels)
        scale = 1.0
        if side:
            scale = min(1.0, side / max(file.width, file.height))
        elif shorter:
            scale = 1 / max(1, min(file.width, file.height) // shorter)
        shape = (max(1, round(file.height * scale)), max(1, round(file.width * scale)))
        bands = [number for number, kind in enumerate(file.colorinterp, 1) if kind.name != "alpha"]
        values = _values(file, bands or [1], shape)
        return Scene(values, _roles(file, bands or [1]), file.width, file.height, str(file.dtypes[0]))


def geo_info(data: bytes) -> GeoInfo | None:
    """What a GeoTIFF says of its place; None for any other file. Raises as `read`."""
    if not is_geographic(data):
        return None
    with _opened(data) as file:
        middle, metres = _middle(file), _metres(file)
        crs = ""
        if file.crs:
            code = file.crs.to_epsg()
            crs = f"EPSG:{code}" if code else " ".join(str(file.crs.to_string()).split())[:80]
        return GeoInfo(file.count, metres, crs, *(middle or (None, None)))


def rgb(scene: Scene) -> np.ndarray:
    """(h, w, 3) uint8: red, green and blue, or near infrared first where one of them is not there, or the first band
    in grey; each stretched from its 2nd to its 98th percentile, white where there is nothing."""
    roles = scene.roles
    wanted = ["red", "green", "blue"]
    if not all(name in roles for name in wanted):
        wanted = ["nir", "red", "green"]
    places = [roles[name] for name in wanted] if all(name in roles for name in wanted) else [0, 0, 0]
    if places == [0, 0, 0] and len(scene.values) >= 3:
        places = [0, 1, 2]
    out = np.full((*scene.values.shape[1:], 3), 255, np.uint8)
    for channel, place in enumerate(places):
        band = scene.values[place]
        there = np.isfinite(band)
        if not there.any():
            continue
        low, high = np.percentile(band[there], (2, 98)).astype(np.float64)
        if scene.kind == "uint8":
            low, high = 0.0, 255.0
        elif high <= low:
            low, high = low - 1, high + 1
        out[..., channel][there] = np.round(np.clip((band[there] - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    out[~np.isfinite(scene.values[places]).all(axis=0)] = 255
    return out


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    try:
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning, RasterioError
        from rasterio.io import MemoryFile
    except ImportError as error:
        raise Missing(f"A picture with several bands needs another package ({error}): pip install rasterio") from error
    logger = logging.getLogger("rasterio")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)  # what matters is raised; damaged files would fill the terminal
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    alone = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO", "GDAL_NUM_THREADS": "1"}
    try:
        with rasterio.Env(**alone), MemoryFile(data) as memory, memory.open(driver="GTiff") as file:
            yield file
    except (RasterioError, ValueError, TypeError) as error:
        raise Unreadable(f"the TIFF is damaged ({' '.join(str(error).split())[:160]})") from None
    except MemoryError:
        raise Unreadable("it does not fit into this computer's memory") from None


def _check(file: Any, max_pixels: int) -> None:
    if file.width * file.height > max_pixels:
        raise Unreadable(
            f"its {file.width:,} x {file.height:,} pixels are more than the {max_pixels:,} that are decoded"
        )
    if not 0 < file.count <= MAX_BANDS or file.width * file.height * file.count > MAX_SAMPLES:
        raise Unreadable(
            f"its {file.count:,} bands of {file.width:,} x {file.height:,} pixels are more than can be read here"
        )
    if any(kind.startswith("complex") or kind == "int64" or kind == "uint64" for kind in file.dtypes):
        raise Unreadable(f"its values are of a kind that cannot be shown ({file.dtypes[0]})")
    block = max(high * wide for high, wide in file.block_shapes)
    if block > max_pixels:
        raise Unreadable("it is cut into pieces that are larger than what can be read here")


def _values(file: Any, bands: list[int], shape: tuple[int, int]) -> np.ndarray:
    from rasterio.enums import Resampling

    whole = shape == (file.height, file.width)
    how = Resampling.nearest if whole else Resampling.average
    masked = file.read(bands, out_shape=(len(bands), *shape), resampling=how, masked=True)
    values = np.ma.filled(masked.astype(np.float32), np.nan)
    return np.where(
        np.abs(values) < 1e30, values, np.nan
    )  # NaN and infinities too; some writers mean "nothing" by 1e38


def _roles(file: Any, bands: list[int]) -> dict[str, int]:
    """By the descriptions, else by the colours that the file names, else by the usual orders."""
    told = [_role(file.descriptions[number - 1] or "") for number in bands]
    if not {"red", "green", "nir"} & set(told):
        told = [kind if kind in ("red", "green", "blue", "nir") else "" for kind in _colours(file, bands)]
        if len(bands) == 4 and told[:3] == ["red", "green", "blue"]:
            told[3] = "nir"
    if not any(told):
        told = _BY_COUNT.get(len(bands), [])
    roles: dict[str, int] = {}
    for place, role in enumerate(told):
        if role:
            roles.setdefault(role, place)
    return roles


def _colours(file: Any, bands: list[int]) -> list[str]:
    return [file.colorinterp[number - 1].name.lower() for number in bands]


def _role(description: str) -> str:
    said = description.strip().lower()
    landsat = re.fullmatch(r"sr_b(\d)", said)
    if landsat and 1 <= int(landsat[1]) <= 7:
        return _LANDSAT[int(landsat[1]) - 1]
    numbered = re.match(r"b0?(\d{1,2}a?)\b", said)  # not "Band 1", which many programs write for any first band
    if numbered and numbered[1] in _NUMBERED:
        return _NUMBERED[numbered[1]]
    words = re.sub(r"[^a-z0-9]+", " ", said)
    if re.search(r"\b(nir|near infra ?red|infrared)\b", words):
        return "nir"
    shortwave = re.search(r"\bswir ?([12]?)\b", words)
    if shortwave:
        return f"swir{shortwave[1] or 1}"
    edge = re.search(r"\bred ?edge ?([123]?)\b", words)
    if edge:
        return f"rededge{edge[1] or 1}"
    colour = re.search(r"\b(red|green|blue|coastal)\b", words)
    return colour[1] if colour else ""


def _middle(file: Any) -> tuple[float, float] | None:
    if not file.crs:
        return None
    from rasterio.warp import transform

    place, across, down = file.transform, file.width / 2, file.height / 2
    x, y = place.a * across + place.b * down + place.c, place.d * across + place.e * down + place.f
    try:
        [longitude], [latitude] = transform(file.crs, "EPSG:4326", [x], [y])
    except Exception:  # a coordinate system that the library does not know is no reason to refuse the picture
        return None
    inside = abs(longitude) <= 180 and abs(latitude) <= 90  # false for NaN as well
    return (round(float(longitude), 6), round(float(latitude), 6)) if inside else None


def _metres(file: Any) -> float | None:
    if not file.crs:
        return None
    step = file.transform
    across, down = math.hypot(step.a, step.d), math.hypot(step.b, step.e)
    if file.crs.is_geographic:
        middle = _middle(file)
        if middle is None:
            return None
        degree = math.pi * 6_371_008.8 / 180  # on the mean sphere
        across, down = across * degree * math.cos(math.radians(middle[1])), down * degree
    else:
        try:
            unit = float(file.crs.linear_units_factor[1])
        except Exception:  # as above
            return None
        across, down = across * unit, down * unit
    size = (across + down) / 2
    return round(size, 4) if math.isfinite(size) and size > 0 else None
