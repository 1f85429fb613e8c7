"""File names as text that can be stored: any name there and back, also what is not UTF-8 or holds a newline."""

import re

_UNSAFE = re.compile("[\\\\\x00-\x1f\x7f\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(?:\\|x[0-9a-f]{2}|u[0-9a-f]{4})")


def storable(name: str) -> str:
    r"""Write a decoded file name (`os.fsdecode`) as valid UTF-8 on one line; `original` is the inverse.

    A byte that is not UTF-8 becomes `\xe9`, a newline `\x0a`, a backslash `\\`; everything else stays.
    """
    return _UNSAFE.sub(_escape, name)


def original(text: str) -> str:
    """The file name that `storable` was given."""
    return _ESCAPED.sub(_unescape, text)


def words(path: str) -> str:
    """A caption from a file name: its stem with separators as spaces."""
    stem = path.rsplit("/", 1)[-1]
    stem = stem.rsplit(".", 1)[0] or stem
    return " ".join(re.sub(r"[_\-.+]+", " ", stem).split())


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code == 0x5C:
        return "\\\\"
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode smuggled through as a surrogate
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"  # a lone half of a pair, possible on Windows


def _unescape(match: re.Match[str]) -> str:
    text = match.group()
    if text == "\\\\":
        return "\\"
    code = int(text[2:], 16)
    return chr(code if text[1] == "u" or code < 0x80 else code + 0xDC00)
