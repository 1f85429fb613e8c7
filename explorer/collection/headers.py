"""What the first bytes of a picture say: its format, its size, its rotation, its colours, and where it should end.

Read before anything is decoded, so that a picture of too many pixels costs nothing and a file that was cut short can
be told by how much.
"""

import struct
from dataclasses import dataclass

from explorer.errors import Unreadable

_OTHER_FORMATS = (
    (b"%PDF", 0, "a PDF"), (b"PK\x03\x04", 0, "a zip archive"), (b"8BPS", 0, "a Photoshop file"),
    (b"ftypheic", 4, "a HEIC picture"), (b"ftypheix", 4, "a HEIC picture"), (b"ftypmif1", 4, "a HEIF picture"),
    (b"ftypavif", 4, "an AVIF picture"), (b"ftyp", 4, "a film"), (b"\x00\x00\x00\x0cjP  ", 0, "a JPEG 2000 picture"),
    (b"\xff\x0a", 0, "a JPEG XL picture"), (b"\x1a\x45\xdf\xa3", 0, "a film"),
    (b"\x00\x05\x16\x07", 0, "a macOS companion file"), (b"version https://git-lfs", 0, "a Git LFS pointer"),
)  # fmt: skip

_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Header:
    """What is known of a picture without decoding it."""

    format: str
    """JPEG, PNG, GIF, WEBP, BMP or TIFF."""
    width: int = 0
    """As stored, before rotation; 0 if only the decoder can tell."""
    height: int = 0
    orientation: int = 1
    """EXIF orientation, 1..8; read here for JPEG and TIFF only."""
    icc: bytes = b""
    """Colour profile; read here for JPEG only."""
    channels: int = 0
    """Colour channels; read here for JPEG only."""
    whole: int = 0
    """How many bytes the file must have at least to be complete, as far as it says; 0 if it does not."""


def look(data: bytes) -> Header:
    """Read the header. Raises Unreadable for what is empty, cut short in the header, or no picture."""
    if not data:
        raise Unreadable("the file is empty")
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith((b"GIF87a", b"GIF89a")):
            width, height = struct.unpack_from("<HH", data, 6)
            return Header("GIF", width, height)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM") and len(data) > 18 and struct.unpack_from("<L", data, 14)[0] in (12, *range(40, 129)):
            return _bmp(data)
        if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
            tags = _tiff_tags(data)
            width, height = tags.get(256, 0), tags.get(257, 0)
            return Header("TIFF", width, height, tags.get(_ORIENTATION, 1))
    except (struct.error, IndexError):
        raise Unreadable(f"the file ends after {len(data):,} bytes, before the picture begins") from None
    raise Unreadable(_what_else(data))


def cut_short(header: Header, data: bytes) -> str:
    """The reason for a picture whose decoder ran out of bytes, with the figures where they are known."""
    if header.whole > len(data):
        least = "at least " if header.format == "PNG" else ""  # a PNG tells only how far its current piece goes
        return f"the file ends after {len(data):,} of {least}{header.whole:,} bytes"
    return f"the file ends after {len(data):,} bytes, before the picture is complete"


def _what_else(data: bytes) -> str:
    for magic, at, name in _OTHER_FORMATS:
        if data[at : at + len(magic)] == magic:
            return f"it is {name}, not one of the formats that are read (JPEG, PNG, WebP, GIF, BMP, TIFF)"
    head = data[:512]
    if head.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        return "it is a web page, not a picture (was it saved from a link that needs a login?)"
    if head.lstrip()[:4] == b"<svg" or b"<svg" in head:
        return "it is an SVG drawing, not one of the formats that are read (JPEG, PNG, WebP, GIF, BMP, TIFF)"
    if not any(head):
        return "it holds only zeros, not a picture"
    try:
        text = head.decode("utf-8", errors="strict" if len(data) <= 512 else "ignore")
        if all(character.isprintable() or character in "\r\n\t\f" for character in text):
            return "it is text, not a picture"
    except UnicodeDecodeError:
        return "it is no picture in a format that is read (JPEG, PNG, WebP, GIF, BMP, TIFF)"
    return "it is no picture in a format that is read (JPEG, PNG, WebP, GIF, BMP, TIFF)"


def _jpeg(data: bytes) -> Header:
    at, orientation = 2, 1
    icc: dict[int, bytes] = {}
    while True:
        while data[at] == 0xFF and data[at + 1] == 0xFF:  # fill bytes
            at += 1
        if data[at] != 0xFF:
            raise Unreadable("the JPEG is damaged in its header")
        marker = data[at + 1]
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a length
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = at + 4
        if marker in (0xDA, 0xD9):
            raise Unreadable("the JPEG has no size in its header")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width, channels = struct.unpack_from(">HHB", data, body + 1)
            profile = b"".join(icc[number] for number in sorted(icc))
            return Header("JPEG", width, height, orientation, profile, channels)
        if marker == 0xE1 and data[body : body + 6] == b"Exif\0\0":
            orientation = _tiff_tags(data[body + 6 : at + 2 + length]).get(_ORIENTATION, orientation)
        elif marker == 0xE2 and data[body : body + 12] == b"ICC_PROFILE\0":
            icc[data[body + 12]] = data[body + 14 : at + 2 + length]
        at += 2 + length


def _tiff_tags(tiff: bytes) -> dict[int, int]:
    """The whole numbers in the first directory of a TIFF or an EXIF block (TIFF 6.0, section 2); what is broken is
    left out, since a broken EXIF block is no reason to refuse a picture."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    found: dict[int, int] = {}
    if order is None:
        return found
    try:
        (at,) = struct.unpack_from(order + "L", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, at)
        for number in range(min(count, 200)):
            tag, kind, values = struct.unpack_from(order + "HHL", tiff, at + 2 + 12 * number)
            if kind in (3, 4) and values == 1:
                (found[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "L"), tiff, at + 10 + 12 * number)
    except struct.error:
        return found
    if not 1 <= found.get(_ORIENTATION, 1) <= 8:
        del found[_ORIENTATION]
    return found


def _png(data: bytes) -> Header:
    width, height = struct.unpack_from(">LL", data, 16)
    at = 8
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">L", data, at)
        at += 12 + length
        if data[at - 8 - length : at - 4 - length] == b"IEND":
            break
    return Header("PNG", width, height, whole=at)


def _webp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<L", data, 4)
    kind = data[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
    elif kind == b"VP8L":
        bits = struct.unpack_from("<L", data, 21)[0]
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", data, 26))
    return Header("WEBP", width, height, whole=size + 8)


def _bmp(data: bytes) -> Header:
    (size, _, offset, header) = struct.unpack_from("<LLLL", data, 2)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        packed = 0
    else:
        width, height, _, bits, packed = struct.unpack_from("<llHHL", data, 18)
    whole = size
    if packed in (0, 3, 6):  # not run-length coded: the size of the rows is known
        whole = offset + (abs(width) * bits + 31) // 32 * 4 * abs(height)
    return Header("BMP", abs(width), abs(height), whole=whole)
