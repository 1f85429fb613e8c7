"""From the bytes of a file to upright sRGB pixels, whatever the file is; from pixels to small JPEGs.

JPEGs are decoded at a reduced scale (libjpeg-turbo's DCT scaling through simplejpeg): 4.6 times faster than in full
at 640x480, 8.7 times at 4000x3000. Everything else, and JPEGs in CMYK or with a colour profile, goes through Pillow.
"""

import io
import struct
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from explorer.collection.headers import Header, cut_short, look
from explorer.collection.profiles import is_srgb, to_srgb
from explorer.errors import Missing, Unreadable
from explorer.extractors import geotiff

MAX_PIXELS = 100_000_000
THUMB_SIDE = 256
THUMB_QUALITY = 85
_PILLOW = r"PIL\."
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")  # several pictures in one JPEG (MPO) go as JPEG

cv2.setNumThreads(1)  # pictures are decoded in several threads already


@dataclass(frozen=True)
class Decoded:
    """Pixels of a picture, possibly at a reduced scale."""

    rgb: np.ndarray
    """(h, w, 3) uint8, sRGB, upright, contiguous."""
    width: int
    """Of the original, upright."""
    height: int


def decode(data: bytes, min_side: int = 256, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode a picture, reduced as far as its shorter side keeps at least `min_side` pixels (if it has them).

    Transparency lies on white; of an animation the first frame is taken; 16-bit values keep their upper 8 bits.
    Raises Unreadable, whose message is the reason, for anything that is not a whole picture of at most `max_pixels`.
    """
    header = look(data)
    _check_size(header.width, header.height, max_pixels)
    try:
        if header.format == "JPEG" and header.channels in (1, 3) and is_srgb(header.icc):
            rgb = _reduced(_jpeg(data, header, min_side), min_side)
            width, height = header.width, header.height
            if header.orientation != 1:
                rgb = _upright(rgb, header.orientation)
                if header.orientation >= 5:
                    width, height = height, width
            return Decoded(np.ascontiguousarray(rgb), width, height)
        if header.format == "TIFF" and geotiff.has_bands(data):
            return _from_bands(data, header, min_side, max_pixels)
        return _with_pillow(data, header, min_side, max_pixels)
    except Unreadable:
        raise
    except Image.DecompressionBombError:
        raise Unreadable(f"it has more than the {max_pixels:,} pixels that are decoded") from None
    except MemoryError:
        raise Unreadable("it does not fit into this computer's memory") from None
    except Exception as error:  # decoders of damaged files raise nearly everything
        raise Unreadable(_why(error, header, data)) from None


def ground(data: bytes) -> dict[str, str | int | float]:
    """What a GeoTIFF says of its bands and its place, by name; nothing for every other picture, and without
    `rasterio`. Longitude and latitude are of its middle, in degrees."""
    try:
        info = geotiff.geo_info(data)
    except (Missing, Unreadable):  # it is shown all the same, or told of where it is decoded
        return {}
    if info is None:
        return {}
    said = {
        "bands": info.bands,
        "metres per pixel": info.metres_per_pixel,
        "coordinates": info.crs or None,
        "longitude": info.longitude,
        "latitude": info.latitude,
    }
    return {name: value for name, value in said.items() if value is not None}


def thumbnail(rgb: np.ndarray) -> bytes:
    """A JPEG whose longest side is at most 256 pixels, from (h, w, 3) uint8."""
    return _encode(_fitted(rgb, THUMB_SIDE), THUMB_QUALITY)


def full_jpeg(data: bytes, max_side: int = 2400) -> bytes:
    """A picture as a browser can show it: upright sRGB JPEG, longest side at most `max_side`. Raises Unreadable."""
    header = look(data)
    shorter = max_side
    if header.width and header.height:
        shorter = max(1, -(-max_side * min(header.width, header.height) // max(header.width, header.height)))
    return _encode(_fitted(decode(data, min_side=shorter).rgb, max_side), 90)


def _jpeg(data: bytes, header: Header, min_side: int) -> np.ndarray:
    side = min(min_side, header.width, header.height)
    try:
        return simplejpeg.decode_jpeg(data, "RGB", min_height=side, min_width=side, strict=True)
    except ValueError as error:
        if "premature end" in str(error).lower():
            raise Unreadable(cut_short(header, data)) from None
        # strict also refuses what every viewer shows (stray bytes between segments); Pillow refuses only real damage
        _quiet_pillow()
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        return np.asarray(_loaded(image, min_side).convert("RGB"))


def _with_pillow(data: bytes, header: Header, min_side: int, max_pixels: int) -> Decoded:
    _quiet_pillow()
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        if header.format != "TIFF" or not header.width:
            raise
        return _rare_tiff(data, header, min_side)
    _check_size(*image.size, max_pixels)
    if header.format in ("PNG", "BMP") and header.whole > len(data):
        raise Unreadable(cut_short(header, data))
    orientation = header.orientation if header.format == "JPEG" else _exif_orientation(image)
    width, height = image.size
    image = _loaded(image, min_side)
    if header.format == "TIFF":  # Pillow turns these itself while it loads them
        width, height = image.size
        orientation = 1
    profile = header.icc or image.info.get("icc_profile") or b""
    image = _on_white(_eight_bits(image))
    rgb = _reduced(np.asarray(to_srgb(image, profile)), min_side)
    if orientation >= 5:
        width, height = height, width
    return Decoded(np.ascontiguousarray(_upright(rgb, orientation)), width, height)


def _from_bands(data: bytes, header: Header, min_side: int, max_pixels: int) -> Decoded:
    """A picture from above, with more bands or finer values than a screen shows; without `rasterio`, as any TIFF."""
    try:
        scene = geotiff.read(data, shorter=min_side, max_pixels=max_pixels)
    except Missing as missing:
        try:
            return _with_pillow(data, header, min_side, max_pixels)
        except Exception:  # Pillow raises nearly everything for what it was not made for
            raise Unreadable(str(missing)) from None
    return Decoded(geotiff.rgb(scene), scene.width, scene.height)


def _rare_tiff(data: bytes, header: Header, min_side: int) -> Decoded:
    """A TIFF in a layout that Pillow does not know, such as 16 bits a channel in separate planes."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise Unreadable("it is a TIFF of a kind that cannot be read here")
    rgb = _reduced(np.asarray(pixels, np.uint8), min_side)
    width, height = header.width, header.height
    if header.orientation >= 5:
        width, height = height, width
    return Decoded(np.ascontiguousarray(_upright(rgb, header.orientation)), width, height)


def _loaded(image: Image.Image, min_side: int) -> Image.Image:
    """Decode with Pillow, a JPEG at a reduced scale."""
    if image.format in ("JPEG", "MPO") and min(image.size) > min_side:
        factor = min(image.size) / min_side
        # draft takes the largest of 1/1 … 1/8 that leaves at least this size
        image.draft(None, (int(image.width / factor), int(image.height / factor)))
    image.load()
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits as 8 bits: 16 bits by their full range; 32 bits have no agreed white, so they are
    stretched from the smallest to the largest value unless they keep within 0..1 or 0..65535."""
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
    values = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I") and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    elif image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    grey = np.round((values - low) * (255.0 / (high - low or 1.0))).astype(np.uint8)
    tags = getattr(image, "tag_v2", {})
    if image.mode.startswith("I") and tags.get(262) == 0:  # white is zero; Pillow inverts only 8-bit ones
        grey = 255 - grey
    return Image.fromarray(grey)


def _on_white(image: Image.Image) -> Image.Image:
    """Without transparency, in L, RGB, CMYK or LAB."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _exif_orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # a broken EXIF block raises anything, and is no reason to refuse the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(rgb: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the rotation and mirroring that EXIF orientation 1..8 stands for."""
    if orientation >= 5:
        rgb = rgb.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    return rgb


def _reduced(rgb: np.ndarray, min_side: int) -> np.ndarray:
    """Averaged over blocks of whole pixels, as far as `min_side` allows."""
    factor = min(rgb.shape[:2]) // min_side
    if factor < 2:
        return rgb
    return cv2.resize(rgb, (rgb.shape[1] // factor, rgb.shape[0] // factor), interpolation=cv2.INTER_AREA)


def _fitted(rgb: np.ndarray, side: int) -> np.ndarray:
    height, width = rgb.shape[:2]
    if max(height, width) <= side:
        return rgb
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def _encode(rgb: np.ndarray, quality: int) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=quality, colorspace="RGB", colorsubsampling="420")


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise Unreadable(f"its {width:,} x {height:,} pixels are more than the {max_pixels:,} that are decoded")


def _why(error: Exception, header: Header, data: bytes) -> str:
    said = str(error).strip().rstrip(".") or type(error).__name__
    lower = said.lower()
    short = isinstance(error, EOFError | struct.error) or header.whole > len(data)
    if short or any(sign in lower for sign in ("truncated", "premature", "not processed", "end of file", "short read")):
        return cut_short(header, data)
    return f"the {header.format} is damaged ({said[:160]})"


def _quiet_pillow() -> None:
    """Keep Pillow's warnings (strange EXIF, large pictures) off the terminal: what matters is raised or checked here.

    Looked up at each call because a `warnings.catch_warnings` block elsewhere drops filters set meanwhile.
    """
    if not any(entry[0] == "ignore" and getattr(entry[3], "pattern", "") == _PILLOW for entry in warnings.filters):
        warnings.filterwarnings("ignore", module=_PILLOW)
