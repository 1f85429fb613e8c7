"""Text in the picture, in two ways of looking that share one reading: where it stands, and what it says."""

import functools
import hashlib
from pathlib import Path

import numpy as np

from explorer.extractors import ocr
from explorer.extractors.base import Card, Family, FeatureSpec
from explorer.extractors.sentences import DIM as WORDS
from explorer.extractors.sentences import Sentences

GRID = 8
_HEIGHTS = 6
"""Sizes of letters that are told apart: 1/64, 1/32, … 1/2 of the picture's shorter side."""
PLACES = 1 + GRID * GRID + _HEIGHTS + 2 + 2 + 3
WHERE, WHAT = "where", "what"
BATCH = 4
_COST = "Slow: six photographs a second on each core, and a full page takes one to two seconds."

CARDS = {
    WHERE: Card(
        title="Text: where it stands",
        sees="Where text stands in the picture, how much, how large, how slanted, in lines or in columns.",
        ignores=f"What it says, letters that stand alone, and everything that is not text. {_COST}",
        licence="Apache-2.0",
        aspect="text-where",
        dim=PLACES,
    ),
    WHAT: Card(
        title="Text: what it says",
        sees="The meaning of the words in the picture; words can be searched for. Reads English and Chinese best.",
        ignores="Where the words stand, their script and colour, upside-down text, and everything that is not text; "
        f"pictures without text are all alike. {_COST}",
        licence="Apache-2.0",
        aspect="text-what",
        dim=WORDS,
    ),
}


def create_where(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "TextWhere":
    return TextWhere(models_dir, exact)


def create_what(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "TextWhat":
    return TextWhat(models_dir, exact)


class _Text:
    """What both ways of looking have in common: they find text in the same picture with the same networks."""

    min_side = ocr.SIDE
    batch_size = BATCH

    def __init__(self, models_dir: Path | None, exact: bool) -> None:
        self._models_dir, self._exact = models_dir, exact
        self._reader = ocr.reader(exact)
        found, read = self._reader.weights
        self.network = f"text {found} {read} {self._reader.backend} {self._reader.precision} {ocr.SIDE}"

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (737, 736, 3) uint8: see `ocr.prepare`."""
        return ocr.prepare(rgb)

    def compute_layers(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Both ways of looking from one search for text: {"where": (b, 78), "what": (b, 384)} float32."""
        found = [self._reader(picture) for picture in batch]
        where = [places(each.corners, *ocr.extent(picture)) for picture, each in zip(batch, found, strict=True)]
        what = _sentences(self._models_dir, self._exact)(["\n".join(each.texts) for each in found])
        return {WHERE: np.stack(where), WHAT: what}

    def _spec(self, name: str, layer: str, dim: int, *weights: str) -> FeatureSpec:
        return FeatureSpec(
            extractor=name,
            weights=hashlib.blake2b(" ".join(weights).encode(), digest_size=16).hexdigest(),
            layer=layer,
            preprocessing=f"whole picture {ocr.SIDE}, enlarged at most {ocr.GROW:g} times",
            backend=self._reader.backend,
            precision=self._reader.precision,
            dim=dim,
        )


class TextWhere(_Text):
    """The extractor `text_where`: the layout of the lines. They are read only to know that they are text."""

    card = CARDS[WHERE]

    def __init__(self, models_dir: Path | None = None, exact: bool = False) -> None:
        super().__init__(models_dir, exact)
        self.spec = self._spec("text_where", WHERE, PLACES, *self._reader.weights)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, 737, 736, 3) uint8 to (b, 78) float32: see `places`."""
        return np.stack([places(self._reader(picture).corners, *ocr.extent(picture)) for picture in batch])


class TextWhat(_Text):
    """The extractor `text_what`: the words that were read, as the vector of a sentence."""

    card = CARDS[WHAT]

    def __init__(self, models_dir: Path | None = None, exact: bool = False) -> None:
        super().__init__(models_dir, exact)
        sentences = _sentences(models_dir, exact)
        self.spec = self._spec("text_what", WHAT, WORDS, *self._reader.weights, sentences.weights)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, 737, 736, 3) uint8 to (b, 384) float32 rows of length one; zeros where nothing can be read."""
        return self.compute_layers(batch)[WHAT]

    def encode_text(self, texts: list[str]) -> np.ndarray:
        """(n, 384) float32: what a picture that says this would have."""
        return _sentences(self._models_dir, self._exact)(texts)


@functools.cache
def _sentences(models_dir: Path | None, exact: bool) -> Sentences:
    return Sentences(models_dir, exact)


def places(corners: np.ndarray, width: int, height: int) -> np.ndarray:
    """The layout of lines of text, (n, 4, 2) corners in a picture of width x height, as (78,) float32.

    One for no text at all and then nothing else; an 8 x 8 grid of the root of the share that text covers, softened so
    that a small shift changes little; how the lines share themselves among six sizes; the logarithm of their number
    and the root of all they cover; the slant as cosine and sine of its double angle; how well left edges, middles and
    right edges stand under each other.
    """
    import cv2

    out = np.zeros(PLACES, np.float32)
    if not len(corners):
        out[0] = 1
        return out
    fine = GRID * 16
    relative = corners / (width, height)
    covered = np.zeros((fine, fine), np.uint8)
    for box in relative:
        cv2.fillConvexPoly(covered, np.round(box * fine * 16).astype(np.int32), 255, lineType=cv2.LINE_8, shift=4)
    soft = cv2.GaussianBlur(covered.astype(np.float32) / 255, (0, 0), 8, borderType=cv2.BORDER_REFLECT)
    grid = soft.reshape(GRID, 16, GRID, 16).mean(axis=(1, 3))

    tall = ocr.line_heights(corners)
    edges = corners[:, 1] - corners[:, 0]
    down = corners[:, 3] - corners[:, 0]
    along = np.where((np.linalg.norm(edges, axis=1) >= np.linalg.norm(down, axis=1))[:, None], edges, down)
    long = np.maximum(np.linalg.norm(along, axis=1), 1e-6)
    weight = long / long.sum()
    steps = np.log2(np.maximum(tall, 1e-6) / min(width, height)) + _HEIGHTS  # 1/64 is step 0, 1/2 is step 5
    near = np.maximum(0, 1 - np.abs(np.clip(steps, 0, _HEIGHTS - 1)[:, None] - np.arange(_HEIGHTS)))
    angle = 2 * np.arctan2(along[:, 1], along[:, 0])

    left, right = relative[:, :, 0].min(axis=1), relative[:, :, 0].max(axis=1)
    columns = np.stack([left, (left + right) / 2, right])
    spread = np.sqrt(((columns - (columns * weight).sum(axis=1, keepdims=True)) ** 2 * weight).sum(axis=1))
    aligned = np.exp(-spread / 0.05) if len(corners) > 1 else np.zeros(3)
    total = np.sqrt(np.count_nonzero(covered) / covered.size)
    out[1:] = np.concatenate(
        [
            np.sqrt(np.clip(grid, 0, 1)).ravel(),
            weight @ near,
            [np.log1p(len(corners)) / np.log(101), total],
            [weight @ np.cos(angle), weight @ np.sin(angle)],
            aligned,
        ]
    )
    return out


FAMILIES = (
    Family("text_where", CARDS[WHERE], create_where, alone=True),
    Family("text_what", CARDS[WHAT], create_what, alone=True),
)
