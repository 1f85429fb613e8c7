"""The report as one HTML file: nothing is fetched, nothing in it runs, and printed it is one A4 page."""

import base64
from html import escape

from explorer.sharing import report_words as words
from explorer.sharing.report import Failure, ReportData

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
@page { size: A4; margin: 11mm 13mm }
* { box-sizing: border-box }
body { font: 13px/1.42 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; color: #1d2430; background: #fff;
  max-width: 800px; margin: 28px auto; padding: 0 20px }
h1 { font-size: 25px; line-height: 1.2; margin: 2px 0 4px; overflow-wrap: anywhere }
h2 { font-size: 12.5px; margin: 15px 0 4px; color: #27548a }
p { margin: 0 0 4px } .small { color: #5b6472; font-size: 12px; overflow-wrap: anywhere }
.verdict { border-left: 4px solid #27548a; background: #eef3f9; padding: 8px 12px; margin: 11px 0; font-size: 14.5px }
.tiles { display: grid; grid-template-columns: auto auto 1.6fr 1.2fr; gap: 10px 26px; margin: 10px 0 }
.tiles b { display: block; font-size: 19px; font-weight: 600; white-space: nowrap }
.tiles span { color: #5b6472; font-size: 11.5px }
table { border-collapse: collapse; width: 100% }
th { text-align: left; font-weight: 500; color: #5b6472; font-size: 11.5px; vertical-align: bottom }
th, td { padding: 3px 10px 3px 0; border-bottom: 1px solid #dde2e9; overflow-wrap: break-word }
td { max-width: 240px }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 0 30px }
.right { background: #e2efe4 } .wrong { background: #fbeae4 }
.confusion td, .confusion th { text-align: center; padding: 3px 5px } .confusion td:first-child { text-align: left }
.confusion th:first-child { text-align: left }
ul { margin: 0; padding-left: 16px } li { margin-bottom: 2px }
.failures { display: grid; grid-template-columns: repeat(6, 1fr); gap: 10px }
figure { margin: 0; min-width: 0 }
figure div { height: 104px; display: flex; align-items: center; justify-content: center; background: #f1f3f6 }
figure img { max-width: 100%; max-height: 104px }
figcaption { font-size: 11px; line-height: 1.3; margin-top: 3px; overflow-wrap: anywhere }
figcaption .small { font-size: 10.5px } footer { margin-top: 14px; border-top: 1px solid #dde2e9; padding-top: 5px }
@media print { body { margin: 0; padding: 0; max-width: none; zoom: .84 } * { print-color-adjust: exact } }
@media (max-width: 620px) { .two { grid-template-columns: 1fr } .tiles { grid-template-columns: 1fr 1fr }
  .failures { grid-template-columns: repeat(2, 1fr) } }
"""


def report_html(data: ReportData) -> str:
    """The page. Every text from outside is escaped; pictures are data URIs."""
    title = words.clipped(data.question, 160)
    about = f"{words.clipped(data.collection, 60)} · {words.KINDS.get(data.kind, data.kind)}"
    parts = [
        f'<p class="small" dir="auto">Report on a question · {escape(about)}</p>',
        f'<h1 dir="auto">{escape(title)}</h1>',
        f'<p dir="auto">{escape(words.clipped(data.note, words.SENTENCE))}</p>' if data.note else "",
        f'<p class="verdict" dir="auto">{escape(words.verdict(data))}</p>',
        '<div class="tiles">',
        *(f"<div><b>{escape(figure)}</b><span>{escape(what)}</span></div>" for figure, what in words.tiles(data)),
        "</div>",
        "<h2>How good it is</h2>",
        *(f'<p dir="auto">{escape(each)}</p>' for each in words.judgement(data)),
        "<h2>The classes</h2>",
        _table(words.class_table(data)),
        '<div class="two">',
        f"<div>{_confusion(data)}</div>",
        f"<div><h2>Who answered</h2>{_lines(words.answering(data))}</div>",
        "</div>",
        _failures(data),
        f"<h2>Not tested</h2>{_items(words.not_tested(data))}",
        f'<footer class="small" dir="auto">{escape(words.foot(data))}</footer>',
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _lines(texts: list[str]) -> str:
    return "".join(f'<p dir="auto">{escape(text)}</p>' for text in texts)


def _items(texts: list[str]) -> str:
    return "<ul>" + "".join(f'<li dir="auto">{escape(text)}</li>' for text in texts) + "</ul>"


def _table(table: words.Table) -> str:
    head, *rows = table
    numeric = [name not in ("class", "what counts") for name in head]
    marks = [' class="number"' if each else ' dir="auto"' for each in numeric]
    said = "".join(f"<th{mark}>{escape(name)}</th>" for name, mark in zip(head, marks, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{mark}>{escape(cell)}</td>" for cell, mark in zip(row, marks, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{said}</tr>{body}</table>"


def _confusion(data: ReportData) -> str:
    table = words.confusion_table(data)
    if not table:
        mistakes = words.confusions(data)
        return f"<h2>Most often mistaken</h2>{_lines(mistakes)}" if mistakes else ""
    head, *rows = table
    body = ""
    for place, row in enumerate(rows):
        cells = "".join(f"<td{_shade(place, at, cell)}>{escape(cell)}</td>" for at, cell in enumerate(row[1:]))
        body += f'<tr><td dir="auto">{escape(row[0])}</td>{cells}</tr>'
    said = "".join(f'<th dir="auto">{escape(name)}</th>' for name in head)
    return f'<h2>What is taken for what</h2><table class="confusion"><tr>{said}</tr>{body}</table>'


def _shade(row: int, column: int, cell: str) -> str:
    if cell == "0":
        return ""
    return ' class="right"' if row == column else ' class="wrong"'


def _failures(data: ReportData) -> str:
    if not data.failures:
        return ""
    return f'<h2>Surely wrong</h2><div class="failures">{"".join(map(_failure, data.failures))}</div>'


def _failure(one: Failure) -> str:
    picture = ""
    if one.thumb is not None:
        picture = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(one.thumb).decode()}">'
    said = escape(words.failure_words(one.answered, one.guessed, one.sure))
    caption = escape(words.clipped(one.caption, 50))
    return (
        f'<figure><div>{picture}</div><figcaption dir="auto">{said}<br><span class="small">{caption}</span>'
        "</figcaption></figure>"
    )
