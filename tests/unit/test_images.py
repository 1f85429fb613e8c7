"""Safe pictures: every format and oddity ends in upright sRGB pixels or in a reason, and never in a crash."""

import io
import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms, PngImagePlugin

from explorer.collection.images import decode, full_jpeg, thumbnail
from explorer.errors import Unreadable

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """Four quarters of different colours, so that any wrong turn shows: red | green over blue | white."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def photo(width: int = 640, height: int = 480, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    return Image.fromarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(rgb: np.ndarray) -> list[tuple[int, int, int]]:
    """The colours in the middle of the four quarters, rounded to full or none."""
    height, width = rgb.shape[:2]
    places = [
        (height // 4, width // 4),
        (height // 4, 3 * width // 4),
        (3 * height // 4, width // 4),
        (3 * height // 4, 3 * width // 4),
    ]
    return [tuple(int(value > 127) * 255 for value in rgb[place]) for place in places]  # type: ignore[misc]


UPRIGHT = [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 90}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}),
    ],
)
def test_every_format_is_read(kind: str, options: dict) -> None:
    decoded = decode(saved(scene(), kind, **options))
    assert decoded.rgb.dtype == np.uint8
    assert decoded.rgb.flags.c_contiguous
    assert (decoded.rgb.shape, decoded.width, decoded.height) == ((64, 96, 3), 96, 64)
    assert corners(decoded.rgb) == UPRIGHT


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_rotated_picture_stands_upright(kind: str, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = scene(1200, 800)
    if orientation > 1:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(saved(stored, kind, exif=exif), min_side=100)
    assert (decoded.width, decoded.height) == (1200, 800)
    assert corners(decoded.rgb) == UPRIGHT
    assert min(decoded.rgb.shape[:2]) < 800  # and the reduced path was taken


def test_the_reduced_size_keeps_the_shorter_side() -> None:
    for kind in ("JPEG", "PNG"):
        for side in (64, 256, 300):
            decoded = decode(saved(photo(1600, 1200), kind), min_side=side)
            assert (decoded.width, decoded.height) == (1600, 1200)
            assert side <= min(decoded.rgb.shape[:2]) < 2.1 * side
    whole = decode(saved(photo(), "JPEG", quality=95), min_side=10_000).rgb
    assert whole.shape == (480, 640, 3)
    small = decode(saved(photo(), "JPEG", quality=95), min_side=120).rgb
    shrunk = cv2.resize(whole, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - shrunk).mean() < 4


def test_cmyk_looks_like_its_rgb() -> None:
    cmyk = saved(scene(800, 600).convert("CMYK"), "JPEG", quality=95)
    decoded = decode(cmyk, min_side=64)
    assert (decoded.width, decoded.height) == (800, 600)
    assert min(decoded.rgb.shape[:2]) < 200
    assert corners(decoded.rgb) == UPRIGHT
    assert corners(decode(saved(scene().convert("CMYK"), "TIFF")).rgb) == UPRIGHT


def test_ycck_as_photoshop_writes_it() -> None:
    """Adobe marker with transform 2, inverted values: CMYK files from print shops."""
    inverted = 255 - np.asarray(scene().convert("CMYK"))
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(inverted), 95, "CMYK", "444")
    assert b"Adobe" in data
    assert corners(decode(data).rgb) == UPRIGHT


def test_sixteen_bits() -> None:
    ramp = np.linspace(0, 65535, 128, dtype=np.uint16)[None].repeat(64, 0)
    for data in (
        saved(Image.fromarray(ramp), "PNG"),
        saved(Image.fromarray(ramp), "TIFF"),
        saved(Image.frombytes("I;16B", (128, 64), ramp.byteswap().tobytes()), "TIFF"),
        cv2.imencode(".tiff", ramp)[1].tobytes(),
    ):
        rgb = decode(data).rgb
        assert rgb[0, 0].tolist() == [0, 0, 0]
        assert rgb[0, -1].tolist() == [255, 255, 255]
        assert abs(int(rgb[0, 64, 0]) - 128) <= 2
    colour = np.asarray(scene())[:, :, ::-1].astype(np.uint16) * 257
    for extension in (".png", ".tiff"):
        assert corners(decode(cv2.imencode(extension, np.ascontiguousarray(colour))[1].tobytes()).rgb) == UPRIGHT


def test_float_tiff_is_stretched() -> None:
    values = np.linspace(-3, 7, 64, dtype=np.float32)[None].repeat(8, 0)
    rgb = decode(saved(Image.fromarray(values), "TIFF")).rgb
    assert rgb[0, 0, 0] == 0
    assert rgb[0, -1, 0] == 255


def test_transparency_lies_on_white() -> None:
    clear = scene().convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 48, 32))  # the red quarter becomes transparent black
    on_white = [WHITE, GREEN, BLUE, WHITE]
    assert corners(decode(saved(clear, "PNG")).rgb) == on_white
    assert corners(decode(saved(clear, "WEBP", lossless=True)).rgb) == on_white
    assert corners(decode(saved(clear, "TIFF")).rgb) == on_white
    palette = scene().convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    palette.info["transparency"] = palette.getpixel((5, 5))
    assert corners(decode(saved(palette, "PNG", transparency=palette.getpixel((5, 5)))).rgb) == on_white
    assert corners(decode(saved(palette, "GIF", transparency=palette.getpixel((5, 5)))).rgb) == on_white
    assert corners(decode(saved(scene(), "PNG", transparency=RED)).rgb) == on_white
    grey = Image.new("LA", (8, 8), (0, 0))
    assert decode(saved(grey, "PNG")).rgb.min() == 255
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert abs(int(decode(saved(half, "PNG")).rgb[0, 0, 0]) - 127) <= 1


def test_few_bits_and_grey() -> None:
    black = Image.new("1", (16, 16), 0)
    black.paste(1, (8, 0, 16, 16))
    for kind in ("PNG", "TIFF", "BMP"):
        rgb = decode(saved(black, kind)).rgb
        assert rgb[0, 0].tolist() == [0, 0, 0]
        assert rgb[0, 15].tolist() == [255, 255, 255]
    assert decode(saved(Image.new("L", (32, 32), 77), "JPEG")).rgb[0, 0].tolist() == [77, 77, 77]
    assert decode(saved(Image.new("L", (3, 1), 77), "PNG")).rgb.shape == (1, 3, 3)


def test_the_first_frame_of_an_animation() -> None:
    frames = [scene(), Image.new("RGB", (96, 64), BLUE)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = saved(
            frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
        )
        assert corners(decode(data).rgb) == UPRIGHT


def _profile(primaries: list[float], gamma: float = 2.2, name: bytes = b"wide") -> bytes:
    """A minimal matrix profile: the three colorants of a larger gamut than sRGB's."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: list[float]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    curve = b"curv\0\0\0\0" + struct.pack(">LH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">L", len(name) + 1) + name + b"\0" + bytes(90)
    tags = {
        b"desc": text,
        b"wtpt": xyz([0.9642, 1, 0.8249]),
        b"rXYZ": xyz(primaries[0:3]),
        b"gXYZ": xyz(primaries[3:6]),
        b"bXYZ": xyz(primaries[6:9]),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
        b"cprt": b"text\0\0\0\0none\0",
    }
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        content += bytes(-len(content) % 4)
        table += tag + struct.pack(">LL", at, len(content))
        body += content
        at += len(content)
    header = struct.pack(">L4sL4s4s4s", at, b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    header += bytes(128 - len(header) - 60) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return header + struct.pack(">L", len(tags)) + table + body


ADOBE_LIKE = _profile([0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457])


def test_a_wide_gamut_profile_is_brought_to_srgb() -> None:
    ImageCms.ImageCmsProfile(io.BytesIO(ADOBE_LIKE))
    grey_green = Image.new("RGB", (640, 480), (100, 180, 100))
    for kind, options in (("JPEG", {"quality": 98}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        plain = decode(saved(grey_green, kind, **options)).rgb[9, 9].astype(int)
        wide = decode(saved(grey_green, kind, icc_profile=ADOBE_LIKE, **options)).rgb[9, 9].astype(int)
        assert wide[0] < plain[0] - 20, kind  # the same numbers in a wider gamut are a stronger green
        assert abs(wide[1] - plain[1]) < 8


def test_srgb_profiles_and_broken_ones_change_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = decode(saved(photo(), "JPEG"), min_side=480).rgb
    assert np.array_equal(decode(saved(photo(), "JPEG", icc_profile=srgb), min_side=480).rgb, plain)
    for broken in (b"rubbish that is no profile", ADOBE_LIKE[:200]):
        rgb = decode(saved(photo(), "JPEG", icc_profile=broken), min_side=480).rgb
        assert np.abs(rgb.astype(int) - plain).mean() < 2


# what cannot be read


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"These are my notes.\n" * 40, "it is text"),
        ("Füße ".encode() * 300, "it is text"),
        (b"<!DOCTYPE html><html>login</html>", "web page"),
        (b"%PDF-1.7 ...", "a PDF"),
        (bytes(500), "only zeros"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "HEIC"),
        (bytes(range(256)) * 9, "no picture"),
        (b"\xff\xd8\xff", "ends after 3 bytes"),
        (b"\xff\xd8\xff\xe0", "ends after 4 bytes"),
        (b"\x89PNG\r\n\x1a\n\0\0", "ends after 10 bytes"),
        (b"GIF89a", "ends after"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<svg xmlns='x'></svg>", "SVG"),
    ],
)
def test_what_is_no_picture_says_what_it_is(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_a_file_cut_short_is_told_from_a_whole_one(kind: str, part: float) -> None:
    data = saved(photo(), kind)
    cut = data[: int(len(data) * part)]
    with pytest.raises(Unreadable) as failure:
        decode(cut)
    assert f"the file ends after {len(cut):,}" in str(failure.value)
    if kind in ("WEBP", "BMP"):
        assert f"of {len(data):,} bytes" in str(failure.value)


def test_a_jpeg_cut_short_is_found_at_a_reduced_scale_too() -> None:
    data = saved(photo(4000, 3000), "JPEG", quality=90)
    for cut in (data[:-3000], data[: len(data) // 3], data[:-200]):
        with pytest.raises(Unreadable, match="the file ends after"):
            decode(cut, min_side=100)
    assert decode(data + b"trailing bytes of a phone's film", min_side=100).width == 4000


def test_too_many_pixels_cost_nothing() -> None:
    def png(width: int, height: int) -> bytes:
        def chunk(kind: bytes, body: bytes) -> bytes:
            return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

        rows = zlib.compress(bytes(1000), 9)
        return (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", rows)
            + chunk(b"IEND", b"")
        )

    bombs = [
        png(50_000, 50_000),
        saved(Image.new("1", (20_000, 6_000)), "PNG"),
        saved(Image.new("1", (20_000, 6_000)), "TIFF", compression="group4"),
        saved(Image.new("L", (16_000, 6_500)), "JPEG"),
        saved(Image.new("L", (16_000, 6_500)), "GIF"),
    ]
    started = time.process_time()
    for bomb in bombs:
        with pytest.raises(Unreadable, match="pixels are more than the 100,000,000"):
            decode(bomb)
    assert time.process_time() - started < 0.2
    assert decode(saved(Image.new("1", (200, 60)), "PNG"), max_pixels=12_000).width == 200
    with pytest.raises(Unreadable, match="200 x 61"):
        decode(saved(Image.new("1", (200, 61)), "PNG"), max_pixels=12_000)


def test_a_text_chunk_that_swells_is_no_danger() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 50_000_000, zip=True)
    with pytest.raises(Unreadable):
        decode(saved(scene(), "PNG", pnginfo=info))


def test_damage_at_any_place_ends_in_pixels_or_a_reason() -> None:
    rng, refused = np.random.default_rng(7), 0
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        exif = Image.Exif()
        exif[0x0112] = 6
        whole = saved(photo(160, 128), kind, **({"exif": exif} if kind not in ("GIF", "BMP") else {}))
        for _ in range(60):
            damaged = bytearray(whole)
            reach = len(damaged) if rng.random() < 0.5 else min(200, len(damaged))
            for place in rng.integers(0, reach, rng.integers(1, 12)):
                damaged[place] = rng.integers(0, 256)
            try:
                decoded = decode(bytes(damaged), max_pixels=1_000_000)
            except Unreadable:
                refused += 1
                continue
            assert decoded.rgb.ndim == 3
            assert decoded.rgb.shape[2] == 3
    assert 50 < refused < 360


def test_no_warning_leaks_even_from_threads() -> None:
    strange = saved(photo(160, 120), "TIFF", tiffinfo={700: b"x", 34675: b"y", 40962: 7})
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(40))
    large = saved(Image.new("1", (10_000, 9_500)), "PNG")  # Pillow warns above 89 million
    rows = [saved(photo(160, 120), "JPEG", exif=exif), saved(photo(160, 120), "PNG", exif=exif), strange, large]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with ThreadPoolExecutor(4) as pool:
            for decoded in pool.map(decode, [*rows[:3] * 8, rows[3]]):
                assert decoded.rgb.size
    assert [str(each.message) for each in caught] == []


# what pictures are shown as


def test_thumbnails_are_small_and_upright() -> None:
    thumb = thumbnail(decode(saved(photo(1000, 500), "JPEG")).rgb)
    image = Image.open(io.BytesIO(thumb))
    assert (image.format, image.size) == ("JPEG", (256, 128))
    assert len(thumb) < 30_000
    tiny = Image.open(io.BytesIO(thumbnail(np.zeros((7, 5, 3), np.uint8))))
    assert tiny.size == (5, 7)
    strip = Image.open(io.BytesIO(thumbnail(np.zeros((1, 5000, 3), np.uint8))))
    assert strip.size == (256, 1)


def test_the_full_picture_as_a_browser_shows_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    shown = Image.open(io.BytesIO(full_jpeg(saved(photo(6000, 3000), "JPEG", exif=exif))))
    assert (shown.format, shown.size) == ("JPEG", (1200, 2400))
    assert not shown.getexif()
    assert Image.open(io.BytesIO(full_jpeg(saved(scene().convert("RGBA"), "TIFF")))).size == (96, 64)
    with pytest.raises(Unreadable):
        full_jpeg(b"nothing")
