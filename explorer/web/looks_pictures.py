"""What a card of a way of looking shows: the pictures near an example, and what it does not mind. As light HTML, since
a dozen cards stand on one page."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

STYLE = f"<style>{Path(__file__).with_name('looks.css').read_text(encoding='utf-8')}</style>"
HALF, LOW = 0.8, 0.5


def strip(dataset: str, space: str, example: Mapping[str, str], near: Sequence[Mapping[str, str]]) -> str:
    """An example and the pictures nearest to it, each {uid, hash, caption}. With a space, a picture leads to those
    like it there."""
    cells = [_figure(dataset, example, "lk-own"), '<span class="lk-arrow">→</span>']
    for card in near:
        figure = _figure(dataset, card)
        if space:
            where = f"/similar?d={quote(dataset)}&s={quote(space)}&uid={quote(card['uid'], safe='')}"
            figure = f'<a href="{html.escape(where)}">{figure}</a>'
        cells.append(figure)
    return f'<div class="lk-strip">{"".join(cells)}</div>'


def example_picture(dataset: str, card: Mapping[str, str]) -> str:
    return f'<div class="lk-example">{_image(dataset, card)}</div>'


def kept_chart(kept: Mapping[str, float]) -> str:
    """What a way of looking does not mind: what is done to a picture, in words, to the share of its neighbours that
    stay. The order is kept, so that cards can be compared line by line."""
    rows = ["<b>Finds the same pictures despite …</b>"]
    for words, share in kept.items():
        tone = "lk-low" if share < LOW else ("lk-half" if share < HALF else "")
        rows.append(
            f'<span>{html.escape(words)}</span><span class="lk-bar"><i class="{tone}" style="width:{100 * share:.0f}%">'
            f'</i></span><span class="lk-figure">{100 * share:.0f} %</span>'
        )
    return f'<div class="lk-kept">{"".join(rows)}</div>'


def quiet(text: str) -> str:
    return f'<div class="lk-quiet">{html.escape(text)}</div>'


def _figure(dataset: str, card: Mapping[str, str], kind: str = "") -> str:
    return f'<figure class="{kind}">{_image(dataset, card)}</figure>'


def _image(dataset: str, card: Mapping[str, str]) -> str:
    words = html.escape(card["caption"] or card["uid"], quote=True)
    source = f"/x/{quote(dataset)}/thumb/{quote(card['hash'])}.jpg"
    return f'<img src="{source}" alt="{words}" title="{words}" loading="lazy">'
