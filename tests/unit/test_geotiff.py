"""Pictures from above: real GeoTIFFs, with a wood, a lake and a town where the test put them."""

import io
import math
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from explorer.collection.dataset import Dataset
from explorer.collection.embedding import embed
from explorer.collection.images import decode, full_jpeg
from explorer.collection.items import GROUND, META
from explorer.collection.sources import detect
from explorer.errors import Unreadable
from explorer.extractors import geotiff, load, spectral
from explorer.workspace import Workspace

SENTINEL = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12"]
LAND = {  # reflectance in blue, green, red, near infrared, shortwave infrared
    "wood": (0.03, 0.06, 0.03, 0.45, 0.18),
    "lake": (0.07, 0.06, 0.03, 0.01, 0.005),
    "town": (0.14, 0.16, 0.18, 0.22, 0.32),
}


def bands(left: str, right: str, order: str = "BGRNS", size: int = 96) -> np.ndarray:
    """(len(order), size, size) reflectance: one kind of land on the left, another on the right, and some noise."""
    out = np.empty((len(order), size, size))
    for place, letter in enumerate(order):
        out[place, :, : size // 2] = LAND[left]["BGRNS".index(letter)]
        out[place, :, size // 2 :] = LAND[right]["BGRNS".index(letter)]
    return out * np.random.default_rng(0).normal(1, 0.03, out.shape)


def sentinel(left: str, right: str) -> np.ndarray:
    """All 13 bands of Sentinel-2; those that the test does not speak of hold other things."""
    out = np.random.default_rng(1).random((13, 96, 96))
    out[[1, 2, 3, 7, 11]] = bands(left, right)
    return np.round(out * 10_000)


def written(values: np.ndarray, dtype: str = "uint16", **how: Any) -> bytes:
    """The bytes of a GeoTIFF at 10 m in UTM 33N unless said otherwise."""
    told = {name: how.pop(name, None) for name in ("descriptions", "colorinterp")}
    profile = {"driver": "GTiff", "crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, 10, 10)} | how
    count, height, width = values.shape
    with MemoryFile() as memory:
        with memory.open(width=width, height=height, count=count, dtype=dtype, **profile) as file:
            file.write(values.astype(dtype))
            for name, value in told.items():
                if value is not None:
                    setattr(file, name, value)
        return memory.read()


def row(data: bytes) -> np.ndarray:
    extractor = load("spectral")
    return extractor.compute(extractor.prepare_file(data, decode(data).rgb)[None])[0]


WOOD_AND_LAKE = bands("wood", "lake")[:4] * 10_000


def test_several_bands_are_shown_in_their_own_colours_and_stretched() -> None:
    picture = decode(written(WOOD_AND_LAKE))
    assert (picture.width, picture.height) == (96, 96)
    wood, lake = picture.rgb[:, :40].mean(axis=(0, 1)), picture.rgb[:, 56:].mean(axis=(0, 1))
    assert wood[2] < 60 < 190 < lake[2], "blue is the first band, and only the lake is blue"
    assert picture.rgb.max() == 255
    assert picture.rgb.min() == 0
    assert decode(written(sentinel("wood", "lake"))).rgb[:, 56:].mean(axis=(0, 1))[2] > 190
    assert Image.open(io.BytesIO(full_jpeg(written(WOOD_AND_LAKE)))).size == (96, 96)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64", "uint32"])
def test_every_kind_of_value_is_read(dtype: str) -> None:
    scale = 1 if dtype.startswith("float") else 10_000
    data = written(bands("wood", "town") * scale, dtype, descriptions=["blue", "green", "red", "NIR", "SWIR 1"])
    assert decode(data).rgb.std() > 30
    assert spectral.index_of(row(data), "NDVI") == pytest.approx(0.875 / 2 + 0.1 / 2, abs=0.02)


def test_where_there_is_nothing_it_is_white_and_not_counted() -> None:
    values = WOOD_AND_LAKE.copy()
    values[:, :48] = 65535
    data = written(values, nodata=65535)
    assert (decode(data).rgb[:48] == 255).all()
    assert decode(data).rgb[48:].mean() < 200
    assert spectral.index_of(row(data), "NDVI") == pytest.approx(0.875 / 2 - 0.5 / 2, abs=0.05)
    assert row(data)[1] == pytest.approx(0.5, abs=0.01)
    nothing = written(np.full((4, 20, 20), 7.0), nodata=7)
    assert (decode(nothing).rgb == 255).all()
    assert np.isfinite(row(nothing)).all()
    infinite = bands("wood", "lake")
    infinite[:, :9] = np.nan
    infinite[:, 9:12] = np.inf
    assert np.isfinite(row(written(infinite, "float32"))).all()


@pytest.mark.parametrize(
    "how",
    [
        {"descriptions": ["near-infrared", "Red", "Green (560 nm)", "Blue", "SWIR1"], "order": "NRGBS"},
        {"descriptions": ["B04", "B03", "B02", "B08", "B11"], "order": "RGBNS"},
        {"descriptions": ["SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6"], "order": "BGRNS"},
        {"order": "RGBN", "photometric": "RGB"},
        {"order": "BGRN"},
        {"order": "RGBN", "colorinterp": [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.nir]},
    ],
)
def test_bands_are_known_by_their_names_their_colours_or_the_usual_order(how: dict[str, Any]) -> None:
    how = dict(how)
    data = written(bands("wood", "lake", how.pop("order")) * 10_000, **how)
    assert spectral.index_of(row(data), "NDVI") == pytest.approx(0.875 / 2 - 0.5 / 2, abs=0.02)
    assert decode(data).rgb[:, 56:].mean(axis=(0, 1))[2] > 190


def test_indices_tell_a_wood_from_a_lake_from_a_town() -> None:
    wood, lake, town = (row(written(sentinel(land, land))) for land in LAND)
    values = {name: [spectral.index_of(each, name) for each in (wood, lake, town)] for name in spectral.INDICES}
    assert values["NDVI"] == pytest.approx([0.875, -0.5, 0.1], abs=0.02)
    assert values["NDWI"] == pytest.approx([(0.06 - 0.45) / 0.51, 0.05 / 0.07, -0.06 / 0.38], abs=0.02)
    assert values["NDBI"] == pytest.approx([-0.27 / 0.63, -0.005 / 0.015, 0.1 / 0.54], abs=0.02)
    assert values["EVI"][0] == pytest.approx(2.5 * 0.42 / (0.45 + 0.18 - 0.225 + 1), abs=0.03)
    assert values["SAVI"][0] == pytest.approx(1.5 * 0.42 / 0.98, abs=0.03)
    assert max(range(3), key=lambda land: values["ExG"][land]) == 0


def test_woods_are_near_to_woods() -> None:
    def unlike(left: str, right: str, seed: int) -> np.ndarray:
        values = sentinel(left, right) * np.random.default_rng(seed).normal(1, 0.05, (13, 96, 96))
        return row(written(values))

    rows = [unlike(land, land, seed) for seed, land in enumerate(["wood", "wood", "lake", "lake", "town", "town"])]
    distance = np.linalg.norm(np.array(rows)[:, None] - np.array(rows)[None], axis=2) + 99 * np.eye(6)
    assert distance.argmin(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


def test_an_ordinary_picture_says_that_it_is_one() -> None:
    green = np.full((30, 40, 3), (60, 160, 40), np.uint8)
    data = cv2.imencode(".png", green[..., ::-1])[1].tobytes()
    plain, from_above = row(data), row(written(WOOD_AND_LAKE))
    assert spectral.is_plain(plain)
    assert not spectral.is_plain(from_above)
    assert spectral.index_of(plain, "NDVI") is None
    assert spectral.index_of(plain, "VARI") == pytest.approx(100 / 180, abs=0.01)
    assert spectral.index_of(plain, "ExG") == pytest.approx(220 / 260, abs=0.01)


def test_large_files_are_averaged_not_sampled() -> None:
    values = np.repeat(np.repeat(WOOD_AND_LAKE, 12, axis=1), 12, axis=2)
    values[:, ::2] = 0
    data = written(values, tiled=True, blockxsize=256, blockysize=256, compress="deflate")
    picture = decode(data, min_side=256)
    assert (picture.width, picture.height) == (1152, 1152)
    assert min(picture.rgb.shape[:2]) == 288
    scene = geotiff.read(data, side=512)
    assert max(scene.values.shape) == 512
    assert scene.values[3].mean() == pytest.approx(values[3].mean(), rel=0.01)


def test_place_and_ground_resolution_are_told() -> None:
    info = geotiff.geo_info(written(WOOD_AND_LAKE))
    assert info is not None
    assert (info.bands, info.metres_per_pixel, info.crs) == (4, 10, "EPSG:32633")
    assert info.longitude == pytest.approx(15.006, abs=0.001)
    assert info.latitude == pytest.approx(45.149, abs=0.003)
    degrees = geotiff.geo_info(written(WOOD_AND_LAKE, crs="EPSG:4326", transform=from_origin(10, 60, 0.001, 0.001)))
    assert degrees is not None
    assert degrees.metres_per_pixel == pytest.approx(111.19 * (1 + math.cos(math.radians(59.95))) / 2, rel=0.001)
    feet = geotiff.geo_info(written(WOOD_AND_LAKE, crs="EPSG:2263", transform=from_origin(1e6, 2e5, 2, 2)))
    assert feet is not None
    assert feet.metres_per_pixel == pytest.approx(0.6096, abs=0.0001)
    nowhere = geotiff.geo_info(written(WOOD_AND_LAKE, crs=None))
    assert nowhere is not None
    assert nowhere.crs == ""
    assert nowhere.longitude is None
    assert geotiff.geo_info(cv2.imencode(".tiff", np.zeros((8, 8, 3), np.uint8))[1].tobytes()) is None


def test_bands_and_places_become_columns_of_the_collection(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "field.tif").write_bytes(written(WOOD_AND_LAKE))
    (folder / "plain.png").write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    dataset = Dataset.create(Workspace(tmp_path / "workspace"), "From above", detect(folder))
    dataset.rescan()
    embed(dataset, [load("spectral")])
    said = {f"{META}{GROUND}{name}" for name in ("bands", "metres per pixel", "coordinates", "longitude", "latitude")}
    for _ in range(2):  # and a rescan keeps them
        field, plain = dataset.item("field.tif"), dataset.item("plain.png")
        assert said == {name for name in field if name.startswith(META)}
        assert field[f"{META}{GROUND}metres per pixel"] == 10
        assert field[f"{META}{GROUND}coordinates"] == "EPSG:32633"
        assert plain[f"{META}{GROUND}bands"] is None
        generation = dataset.generation
        assert dataset.rescan().unchanged == 2
        assert dataset.generation == generation
        (folder / "field.tif").rename(folder / "moved.tif")
        assert dataset.rescan().renamed == 1
        (folder / "moved.tif").rename(folder / "field.tif")
        dataset.rescan()


def test_tiffs_that_are_no_satellite_pictures_go_the_old_way() -> None:
    for image in (
        Image.new("RGB", (20, 10)),
        Image.new("RGBA", (20, 10)),
        Image.new("L", (9, 9)),
        Image.new("LA", (9, 9)),
    ):
        file = io.BytesIO()
        image.save(file, "TIFF")
        assert not geotiff.has_bands(file.getvalue())
    photograph = written(np.full((3, 20, 20), 90), "uint8", photometric="RGB")
    assert not geotiff.has_bands(photograph)
    assert (decode(photograph).rgb == 90).all()


@pytest.mark.parametrize("big", ["NO", "YES"])
@pytest.mark.parametrize("endian", ["LITTLE", "BIG"])
def test_tags_are_read_in_every_form(big: str, endian: str) -> None:
    data = written(WOOD_AND_LAKE, BIGTIFF=big, ENDIANNESS=endian)
    assert geotiff.tags(data)[258] == (16,) * 4
    assert geotiff.has_bands(data)
    assert geotiff.is_geographic(data)


def test_hostile_files_are_refused_or_read_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    whole = written(WOOD_AND_LAKE, compress="deflate", BIGTIFF="YES")
    rng = np.random.default_rng(0)
    hurt = [whole[:length] for length in (9, 60, 200, len(whole) // 2, len(whole) - 9)]
    for _ in range(150):
        broken = bytearray(whole)
        for place in rng.integers(4, 700, 4):
            broken[place] = rng.integers(256)
        hurt.append(bytes(broken))
    refused = 0
    for data in hurt:
        try:
            picture = decode(data)
        except Unreadable:
            refused += 1
            continue
        assert np.isfinite(load("spectral").prepare_file(data, picture.rgb)).all()
    assert refused >= 5
    said = "".join(capfd.readouterr())
    assert "CPLE" not in said, "GDAL keeps quiet (Pillow's own libtiff does not always)"


def test_too_many_pixels_or_bands_are_not_read() -> None:
    with pytest.raises(Unreadable, match="96 x 96 pixels are more than the 9,000"):
        decode(written(WOOD_AND_LAKE), max_pixels=9_000)
    bomb = written(np.zeros((5, 16, 16)), SPARSE_OK=True, BIGTIFF="NO")
    at = struct.unpack_from("<L", bomb, 4)[0]
    grown = bytearray(bomb)
    for number in range(struct.unpack_from("<H", bomb, at)[0]):
        entry = at + 2 + 12 * number
        (tag,) = struct.unpack_from("<H", bomb, entry)
        if tag in (256, 257, 278):  # width, height and the height of a strip
            struct.pack_into("<HHLL", grown, entry, tag, 4, 1, 9_900)
    with pytest.raises(Unreadable, match="more than"):
        decode(bytes(grown))


def test_without_rasterio_what_it_alone_reads_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.split(".")[0] == "rasterio":
            raise ImportError("No module named 'rasterio'")
        return real(name, *more)

    many, one = written(sentinel("wood", "lake")), written(WOOD_AND_LAKE[:1])
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Unreadable, match="pip install rasterio"):
        decode(many)
    assert decode(one).rgb.shape == (96, 96, 3)
