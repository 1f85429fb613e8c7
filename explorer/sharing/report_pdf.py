"""The report as a PDF of one A4 page, with letters of its own.

Latin, Greek and Cyrillic are in the file (Noto Sans, from a Python package). Chinese, Japanese and Korean signs name
the viewer's own font, as PDF allows for them. What is in neither (Arabic, Hebrew, Thai, emoji, …) is printed as � and
the page says so; the HTML report has those signs.
"""

import functools
import importlib.util
import io
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from explorer.errors import Missing
from explorer.sharing import report_words as words
from explorer.sharing.report import Failure, ReportData

_MARGIN, _WIDTH, _HEIGHT = 34.0, 595.28, 841.89
_INNER = _WIDTH - 2 * _MARGIN
_BLUE, _GREY, _LINE, _PALE, _GREEN, _RED = "#27548a", "#5b6472", "#dde2e9", "#eef3f9", "#e2efe4", "#fbeae4"
_PICTURE = 74.0
_FONT, _GAP = "ReportSans", "\N{REPLACEMENT CHARACTER}"
_FOREIGN = {"kana": "HeiseiKakuGo-W5", "hangul": "HYGothic-Medium", "han": "STSong-Light"}


def report_pdf(data: ReportData) -> bytes:
    """The page; what would not fit is shrunk. Raises Missing without reportlab."""
    try:
        from reportlab.pdfgen.canvas import Canvas
        from reportlab.platypus import KeepInFrame
    except ImportError as error:
        raise Missing("A PDF needs the package reportlab: pip install reportlab. The HTML report does not.") from error
    letters = _Letters()
    story = _story(data, letters)
    if letters.lost:
        said = "1 sign is" if letters.lost == 1 else f"{letters.lost} signs are"
        story.append(_Words(letters).small(f"{said} missing from this file's letters: the HTML report has them."))
    if letters.foreign:
        said = "Chinese, Japanese and Korean signs are drawn with the fonts of whoever opens this file."
        story.append(_Words(letters).small(said))
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(_WIDTH, _HEIGHT))
    canvas.setTitle(words.clipped(data.question, 160))
    canvas.setCreator("Dataset Explorer")
    whole = KeepInFrame(_INNER, _HEIGHT - 2 * _MARGIN, story, mode="shrink", vAlign="TOP")
    _, height = whole.wrapOn(canvas, _INNER, _HEIGHT - 2 * _MARGIN)
    whole.drawOn(canvas, _MARGIN, _HEIGHT - _MARGIN - height)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _story(data: ReportData, letters: "_Letters") -> list[Any]:
    say = _Words(letters)
    about = f"{words.clipped(data.collection, 60)} · {words.KINDS.get(data.kind, data.kind)}"
    story: list[Any] = [say.small(f"Report on a question · {about}"), say.title(words.clipped(data.question, 160))]
    if data.note:
        story.append(say.plain(words.clipped(data.note, words.SENTENCE)))
    story += [_box(say.large(words.verdict(data))), _tiles(words.tiles(data), say)]
    story += [say.heading("How good it is"), *map(say.plain, words.judgement(data))]
    story += [say.heading("The classes"), _class_table(words.class_table(data), say)]
    story.append(_two(_confusion(data, say), [say.heading("Who answered"), *map(say.plain, words.answering(data))]))
    if data.failures:
        story += [say.heading("Surely wrong"), _failures(data.failures, say)]
    story += [say.heading("Not tested"), *(say.item(each) for each in words.not_tested(data))]
    story.append(say.small(words.foot(data), before=7))
    return story


class _Words:
    """Paragraphs in the page's few sizes. Texts from outside are escaped here."""

    def __init__(self, letters: "_Letters") -> None:
        self._letters = letters

    def title(self, text: str) -> Any:
        return self._paragraph(text, 17, 20.5, after=3)

    def heading(self, text: str) -> Any:
        return self._paragraph(text, 9.2, 12, colour=_BLUE, before=8, after=2)

    def large(self, text: str) -> Any:
        return self._paragraph(text, 10.2, 13.6)

    def plain(self, text: str, align: int = 0) -> Any:
        return self._paragraph(text, 8.6, 11.6, after=1.5, align=align)

    def small(self, text: str, before: float = 0, align: int = 0) -> Any:
        return self._paragraph(text, 7.4, 9.6, colour=_GREY, before=before, align=align)

    def item(self, text: str) -> Any:
        return self._paragraph(text, 8.6, 11.2, after=1, indent=9, bullet="•")

    def figure(self, text: str) -> Any:
        return self._paragraph(text, 13.5, 17)

    def _paragraph(
        self,
        text: str,
        size: float,
        leading: float,
        colour: str = "#1d2430",
        before: float = 0,
        after: float = 0,
        align: int = 0,
        indent: float = 0,
        bullet: str | None = None,
    ) -> Any:
        from reportlab.lib.styles import ParagraphStyle
        from reportlab.platypus import Paragraph

        style = ParagraphStyle(
            "said", fontName=_FONT, fontSize=size, leading=leading, textColor=colour, spaceBefore=before,
            spaceAfter=after, alignment=align, leftIndent=indent, bulletFontName=_FONT, bulletFontSize=size,
            splitLongWords=1,
        )  # fmt: skip
        return Paragraph(self._letters.marked(text), style, bulletText=bullet)


class _Letters:
    """Texts as markup that names the right font for every sign, counting those that no font has."""

    def __init__(self) -> None:
        self.lost = 0
        self.foreign = False
        self._has = _registered()

    def marked(self, text: str) -> str:
        text = unicodedata.normalize("NFC", text)
        japanese = any("぀" <= sign <= "ヿ" for sign in text)
        out, run, font = [], "", _FONT
        for sign in text:
            wanted = self._font(sign, japanese)
            if wanted is None:
                if unicodedata.category(sign) in ("Mn", "Cf"):
                    continue  # a mark that would stand on a sign that is not there
                self.lost += 1
                sign, wanted = _GAP if self._has(_GAP) else "?", _FONT
            self.foreign |= wanted != _FONT
            if wanted != font:
                out.append(_in_font(run, font))
                run, font = "", wanted
            run += sign
        return "".join([*out, _in_font(run, font)])

    def _font(self, sign: str, japanese: bool) -> str | None:
        if self._has(sign):
            return _FONT
        if "぀" <= sign <= "ヿ":
            return _FOREIGN["kana"]
        if "가" <= sign <= "힣":
            return _FOREIGN["hangul"]
        if "一" <= sign <= "鿿" or "\u3000" <= sign <= "〿" or "\uff00" <= sign <= "\uffef":
            return _FOREIGN["kana" if japanese else "han"]
        return None


def _in_font(text: str, font: str) -> str:
    return escape(text) if font == _FONT or not text else f'<font name="{font}">{escape(text)}</font>'


@functools.cache
def _registered() -> Callable[[str], bool]:
    """Make the fonts known to reportlab; tells of a sign whether the main one has it."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfbase.ttfonts import TTFont

    font = TTFont(_FONT, _font_file())
    pdfmetrics.registerFont(font)
    pdfmetrics.registerFontFamily(_FONT, normal=_FONT, bold=_FONT, italic=_FONT, boldItalic=_FONT)
    for name in _FOREIGN.values():
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    signs = font.face.charToGlyph
    return lambda sign: ord(sign) in signs


def _font_file() -> str:
    """Noto Sans of the package fontpkg-noto-sans; else Vera, which reportlab brings (Latin-1 only)."""
    found = importlib.util.find_spec("fontpkg_noto_sans")
    if found is not None and found.origin:
        for path in sorted((Path(found.origin).parent / "files").glob("NotoSans[[]*.ttf")):
            return str(path)
    return "Vera.ttf"


def _box(inside: Any) -> Any:
    from reportlab.platypus import Table

    look = [("BACKGROUND", (0, 0), (-1, -1), _PALE), ("LINEBEFORE", (0, 0), (0, -1), 3, _BLUE)]
    look += [
        ("TOPPADDING", (0, 0), (-1, -1), 5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        ("LEFTPADDING", (0, 0), (-1, -1), 9),
    ]
    return Table([[inside]], colWidths=[_INNER], style=look, spaceBefore=7, spaceAfter=5)


def _tiles(tiles: list[tuple[str, str]], say: _Words) -> Any:
    from reportlab.platypus import Table

    widths = [_INNER * part for part in (0.15, 0.15, 0.4, 0.3)]
    cells = [[say.figure(figure), say.small(what)] for figure, what in tiles]
    return Table(
        [cells], colWidths=widths, style=[("LEFTPADDING", (0, 0), (-1, -1), 0), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    )


def _class_table(table: words.Table, say: _Words) -> Any:
    from reportlab.platypus import Table

    head, *rows = table
    wide = {"class": 0.2, "what counts": 0.22, "answers": 0.08, "in the collection": 0.21}
    shares = [wide.get(name, 0.16) for name in head]
    aligned = [0 if name in ("class", "what counts") else 2 for name in head]
    cells = [[say.small(name, align=side) for name, side in zip(head, aligned, strict=True)]]
    cells += [[say.plain(cell, align=side) for cell, side in zip(row, aligned, strict=True)] for row in rows]
    widths = [_INNER * share / sum(shares) for share in shares]
    return Table(cells, colWidths=widths, style=_ruled(), repeatRows=0)


def _confusion(data: ReportData, say: _Words) -> list[Any]:
    from reportlab.platypus import Table

    table = words.confusion_table(data)
    if not table:
        mistakes = words.confusions(data)
        return [say.heading("Most often mistaken"), *map(say.plain, mistakes)] if mistakes else []
    head, *rows = table
    cells = [[say.small(name, align=1 if at else 0) for at, name in enumerate(head)]]
    cells += [[say.plain(row[0]), *(say.plain(cell, align=1) for cell in row[1:])] for row in rows]
    look = _ruled()
    for place, row in enumerate(rows, 1):
        for at, cell in enumerate(row[1:], 1):
            if cell != "0":
                look.append(("BACKGROUND", (at, place), (at, place), _GREEN if at == place else _RED))
    room = _INNER * 0.5 - 14
    first = room * 0.3
    widths = [first, *[min((room - first) / len(rows), 60.0)] * len(rows)]
    return [say.heading("What is taken for what"), Table(cells, colWidths=widths, style=look, hAlign="LEFT")]


def _ruled() -> list[Any]:
    every = (0, 0), (-1, -1)
    return [
        ("LINEBELOW", *every, 0.5, _LINE), ("LEFTPADDING", *every, 2), ("RIGHTPADDING", *every, 4),
        ("TOPPADDING", *every, 1), ("BOTTOMPADDING", *every, 2), ("VALIGN", *every, "MIDDLE"),
    ]  # fmt: skip


def _two(left: list[Any], right: list[Any]) -> Any:
    from reportlab.platypus import Table

    bare = [
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("TOPPADDING", (0, 0), (-1, -1), 0),
    ]
    if not left:
        return Table([[right]], colWidths=[_INNER], style=bare, spaceBefore=8)
    return Table([[left, right]], colWidths=[_INNER / 2, _INNER / 2], style=bare, spaceBefore=8)


def _failures(failures: tuple[Failure, ...], say: _Words) -> Any:
    from reportlab.platypus import Table

    width = _INNER / 6
    pictures = [_picture(one, width - 8) for one in failures]
    said = [
        [say.small(words.failure_words(one.answered, one.guessed, one.sure)), say.small(words.clipped(one.caption, 40))]
        for one in failures
    ]
    look = [
        ("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 8),
        ("VALIGN", (0, 0), (-1, 0), "MIDDLE"), ("VALIGN", (0, 1), (-1, 1), "TOP"), ("TOPPADDING", (0, 0), (-1, -1), 1),
    ]  # fmt: skip
    rows: list[list[Any]] = [pictures, said]
    return Table(rows, colWidths=[width] * len(failures), style=look, hAlign="LEFT")


def _picture(one: Failure, width: float) -> Any:
    from PIL import Image as Opened
    from PIL import UnidentifiedImageError
    from reportlab.platypus import Image, Spacer

    try:
        if one.thumb is None:
            return Spacer(width, _PICTURE)
        wide, high = Opened.open(io.BytesIO(one.thumb)).size
    except (OSError, UnidentifiedImageError):
        return Spacer(width, _PICTURE)  # a damaged thumbnail is no reason for having no report
    scale = min(width / wide, _PICTURE / high)
    return Image(io.BytesIO(one.thumb), wide * scale, high * scale, hAlign="LEFT")
