"""From a picture's own colour profile to sRGB."""

import functools
import io
import struct
from typing import Any

from PIL import Image, ImageCms

_ALREADY = ("srgb", "c2", "gray gamma 2.2", "sgray", "s-gray", "gray-gamma 2.2")
"""Names of profiles whose numbers are sRGB's; "c2" is the small one that large sites write."""


def is_srgb(profile: bytes) -> bool:
    """Is a profile absent or sRGB by its own description? Then the pixels can stay as they are."""
    return not profile or _description(profile).lower().startswith(_ALREADY)


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert an L, RGB, CMYK or LAB image to sRGB. A profile that is broken or meant for other channels is left
    aside: the picture is worth more than its exact colours."""
    if not is_srgb(profile):
        transform = _transform(profile, image.mode)
        if transform is not None:
            return ImageCms.applyTransform(image, transform) or image.convert("RGB")
    if image.mode == "LAB":
        return ImageCms.applyTransform(image, _from_lab()) or image.convert("L").convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


@functools.lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> Any:
    """A transform to sRGB, None if the profile cannot give one. A camera writes one profile into all its pictures."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@functools.lru_cache(maxsize=1)
def _from_lab() -> Any:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


@functools.lru_cache(maxsize=64)
def _description(profile: bytes) -> str:
    """The 'desc' tag of an ICC profile (ICC.1:2022, 7.3 and 10.15), "" if there is none."""
    try:
        (count,) = struct.unpack_from(">L", profile, 128)
        for number in range(min(count, 100)):
            tag, offset, size = struct.unpack_from(">4sLL", profile, 132 + 12 * number)
            if tag != b"desc":
                continue
            body = profile[offset : offset + size]
            if body[:4] == b"mluc":  # version 4: UTF-16 in one or several languages; the first will do
                length, start = struct.unpack_from(">LL", body, 20)
                return body[start : start + length].decode("utf-16-be", errors="replace")
            (length,) = struct.unpack_from(">L", body, 8)
            return body[12 : 12 + length].rstrip(b"\0").decode("latin-1")
    except struct.error:
        return ""
    return ""
