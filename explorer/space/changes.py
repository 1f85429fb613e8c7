"""What happens to pictures without their becoming other pictures: light, lens, framing, words; as functions of pixels.

The strengths are drawn from two for each change, one that a person just notices and one that nobody overlooks. They are
round numbers, chosen before anything was measured with them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Alter = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""(h, w, 3) uint8 and a generator to (h', w', 3) uint8; the same generator, the same outcome."""


@dataclass(frozen=True)
class Change:
    """One way of changing a picture. What it does to the words in a picture is told by a picture that has words:
    `before`, given a generator in the same state, makes the one that it is compared with."""

    title: str
    apply: Alter
    before: Alter | None = None


def tint(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Warm or cold light: red and blue gain and lose 15 or 35 %."""
    strength = rng.choice([0.15, 0.35]) * rng.choice([-1, 1])
    return _clipped(rgb * np.array([1 + strength, 1, 1 - strength]))


def brightness(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Darker to 70 or 45 %, or lighter by as much towards white."""
    left = rng.choice([0.7, 0.45])
    return _clipped(rgb * left) if rng.random() < 0.5 else _clipped(255 - (255 - rgb.astype(np.float32)) * left)


def blur(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian of 1 or 2.5 % of the shorter side."""
    import cv2

    sigma = rng.choice([0.01, 0.025]) * min(rgb.shape[:2])
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), float(max(sigma, 0.3))), np.uint8)


def glare(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A flash's white spot somewhere, fading over 15 or 30 % of the longer side."""
    height, width = rgb.shape[:2]
    reach = rng.choice([0.15, 0.3]) * max(height, width)
    y, x = rng.uniform(0, height), rng.uniform(0, width)
    rows, columns = np.ogrid[:height, :width]
    light = np.minimum(1.5 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * (reach / 2) ** 2)), 1)[..., None]
    return _clipped(rgb * (1 - light) + 255 * light)


def noise(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of 10 or 25 of 255 on each number."""
    return _clipped(rgb + rng.normal(0, rng.choice([10.0, 25.0]), rgb.shape))


def smaller(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same picture in half or a quarter of the pixels a side."""
    import cv2

    factor = rng.choice([0.5, 0.25])
    size = tuple(max(8, round(side * factor)) for side in (rgb.shape[1], rgb.shape[0]))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def crop(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """85 or 65 % of each side are left, from anywhere."""
    kept = rng.choice([0.85, 0.65])
    height, width = (max(8, round(side * kept)) for side in rgb.shape[:2])
    top = int(rng.integers(0, max(rgb.shape[0] - height, 0) + 1))
    left = int(rng.integers(0, max(rgb.shape[1] - width, 0) + 1))
    return np.ascontiguousarray(rgb[top : top + height, left : left + width])


def rotation(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turned by 10 or 30 degrees, either way, whole; the corners take the colour of the border."""
    import cv2

    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.choice([10, 30]) * rng.choice([-1, 1])), 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = round(height * sine + width * cosine), round(height * cosine + width * sine)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    edge = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    colour = tuple(int(channel) for channel in np.median(edge, axis=0))
    return np.asarray(cv2.warpAffine(rgb, matrix, size, flags=cv2.INTER_LINEAR, borderValue=colour), np.uint8)


def mirror(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Left is right."""
    return np.ascontiguousarray(rgb[:, ::-1])


TOPICS = tuple(
    tuple(line.split())
    for line in (
        "bread butter cheese salad apple soup",
        "train station ticket bus airport harbour",
        "doctor hospital medicine nurse patient pulse",
        "winter snow rain thunder sunshine storm",
        "guitar piano concert singer violin drum",
        "football tennis referee goal stadium racket",
        "money bank credit salary invoice price",
        "river mountain valley forest lake island",
    )
)
PLACES = tuple((down, right) for down in (0.08, 0.5, 0.92) for right in (0.06, 0.5, 0.94))


def with_words(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two words of one topic on a white plate, at one of nine places."""
    words, place, _, _ = _lettering(rng)
    return _pasted(rgb, words, place)


def moved_words(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The words of `with_words` at another place."""
    words, _, _, elsewhere = _lettering(rng)
    return _pasted(rgb, words, elsewhere)


def other_words(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Words of another topic at the place of `with_words`."""
    _, place, others, _ = _lettering(rng)
    return _pasted(rgb, others, place)


CHANGES = {
    "tint": Change("Warm or cold light", tint),
    "brightness": Change("Darker or lighter", brightness),
    "blur": Change("Out of focus", blur),
    "glare": Change("A flash's glare", glare),
    "noise": Change("Grain", noise),
    "scale": Change("Fewer pixels", smaller),
    "crop": Change("Cut at the edges", crop),
    "rotation": Change("Turned a little", rotation),
    "mirror": Change("Mirrored", mirror),
    "text_moved": Change("Its words elsewhere", moved_words, with_words),
    "text_replaced": Change("Other words instead", other_words, with_words),
}
"""By the names that figures have."""


def _lettering(rng: np.random.Generator) -> tuple[str, tuple[float, float], str, tuple[float, float]]:
    """(words, place, words of another topic, another place): always the same draws, whichever of them are used."""
    first, second = (int(each) for each in rng.choice(len(TOPICS), 2, replace=False))
    here, there = (PLACES[int(each)] for each in rng.choice(len(PLACES), 2, replace=False))
    said, instead = (" ".join(rng.choice(TOPICS[topic], 2, replace=False)) for topic in (first, second))
    return said, here, instead, there


def _pasted(rgb: np.ndarray, words: str, place: tuple[float, float]) -> np.ndarray:
    """(h, w, 3) with `words` on a plate half as wide as the picture; `place`: shares of the free height and width."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(rgb)
    # set large and then fitted: every length of words becomes a plate of the same width
    font: Any = ImageFont.load_default(size=48)
    lines = words.upper().replace(" ", "\n")
    plate = Image.new("RGB", (1, 1))
    left, top, right, bottom = ImageDraw.Draw(plate).multiline_textbbox((0, 0), lines, font=font)
    plate = Image.new("RGB", (round(right - left) + 32, round(bottom - top) + 24), "white")
    ImageDraw.Draw(plate).multiline_text((16 - left, 12 - top), lines, font=font, fill="black")
    width = max(8, round(0.5 * picture.width))
    plate = plate.resize((width, max(4, round(plate.height * width / plate.width))), Image.Resampling.LANCZOS)
    down, across = place
    picture.paste(plate, (round(across * (picture.width - width)), round(down * (picture.height - plate.height))))
    return np.asarray(picture, np.uint8)


def _clipped(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
