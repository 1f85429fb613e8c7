"""Text in pictures: real letters are found where they are and read as they are, and the two ways of looking part."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fontpkg_noto_sans
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images

from explorer.extractors import Extractor, TextEncoder, load, ocr
from explorer.extractors.sentences import Sentences, model_folder

FONT = next(Path(fontpkg_noto_sans.ROOT).rglob("NotoSans?wdth*.ttf"))
KITCHEN = ["fresh bread and soup", "served in the kitchen"]
TRAIN = ["trains to the airport", "leave from platform 9"]


def written(lines: list[str], at: tuple[int, int], size: int = 30, on: np.ndarray | None = None) -> np.ndarray:
    """Lines of text on a photograph, dark on a light plate."""
    image = Image.fromarray(load_sample_images().images[0] if on is None else on)
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(FONT, size)
    width = max(font.getlength(line) for line in lines)
    x, y = at
    draw.rectangle((x - 10, y - 5, x + width + 10, y + 1.4 * size * len(lines) + 5), "#f8f4e8")
    for number, line in enumerate(lines):
        draw.text((x, y + 1.4 * size * number), line, "#202030", font)
    return np.asarray(image)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def where(models: Path) -> Extractor:
    return load("text_where", models)


@pytest.fixture(scope="module")
def what(models: Path) -> Extractor:
    return load("text_what", models)


def rows(extractor: Extractor, *pictures: np.ndarray) -> np.ndarray:
    return np.concatenate([extractor.compute(extractor.prepare(picture)[None]) for picture in pictures])


def near(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("exact", [False, True])
def test_words_are_read_where_they_stand(exact: bool) -> None:
    picture = written(KITCHEN, (100, 250))
    prepared = ocr.prepare(picture)
    found = ocr.reader(exact)(prepared)
    assert found.texts == tuple(KITCHEN)
    scale = ocr.extent(prepared)[0] / picture.shape[1]
    font = ImageFont.truetype(FONT, 30)
    for number, corners in enumerate(found.corners):
        x1, y1, x2, y2 = (*corners.min(axis=0) / scale, *corners.max(axis=0) / scale)
        assert abs(x1 - 100) < 14
        assert abs(x2 - 100 - font.getlength(KITCHEN[number])) < 14
        assert y1 < 250 + 42 * number + 22 < y2
        assert y2 - y1 < 70


def test_a_page_is_read_from_the_top_to_the_bottom() -> None:
    page = [f"line number {word} of this page" for word in "one two three four five six seven eight".split()]
    picture = written(page, (40, 30), 26, np.full((700, 560, 3), 255, np.uint8))
    assert ocr.reader(False)(ocr.prepare(picture)).texts == tuple(page)


def test_of_many_lines_the_largest_are_read_and_all_are_there() -> None:
    page = [f"small print number {number}" for number in range(40)]
    picture = written(["A heading"], (40, 10), 40, np.full((1000, 700, 3), 255, np.uint8))
    found = ocr.reader(False)(ocr.prepare(written(page, (40, 80), 15, picture)))
    assert found.texts[0] == "A heading"
    assert len(found.texts) == ocr.MOST_LINES
    assert len(found.corners) == 41


def test_small_pictures_and_slanted_lines_are_read() -> None:
    reader = ocr.reader(False)
    small = written(["hotel"], (20, 20), 22, np.full((70, 110, 3), 120, np.uint8))
    tilted = np.asarray(Image.fromarray(written(["summer market"], (120, 170), 40)).rotate(15))
    for picture, text in ((small, "hotel"), (tilted, "summer market")):
        assert reader(ocr.prepare(picture)).texts == (text,)


def test_moved_text_stands_elsewhere_and_says_the_same(where: Extractor, what: Extractor) -> None:
    below, above, other = written(KITCHEN, (60, 300)), written(KITCHEN, (250, 40)), written(TRAIN, (60, 300))
    at_below, at_above, at_other = rows(where, below, above, other)
    says_below, says_above, says_other = rows(what, below, above, other)
    assert near(at_below, at_other) > 0.97 > 0.85 > near(at_below, at_above)
    assert near(says_below, says_above) > 0.95 > 0.5 > near(says_below, says_other)


def test_a_place_is_one_in_the_picture_not_in_the_square(where: Extractor) -> None:
    """The lower edge is the lower edge, whatever the shape of the picture."""
    grey = [np.full(shape, 90, np.uint8) for shape in ((300, 600, 3), (600, 300, 3))]
    wide, tall = rows(where, written(["notice"], (20, 240), 30, grey[0]), written(["notice"], (20, 540), 30, grey[1]))
    for row in (wide, tall):
        grid = row[1:65].reshape(8, 8)
        assert grid.argmax() // 8 == 7
        assert grid[:5].max() < 0.05


def test_without_text_there_is_one_fixed_vector(where: Extractor, what: Extractor) -> None:
    plain = [np.full((80, 50, 3), 200, np.uint8), load_sample_images().images[1], np.zeros((1, 1, 3), np.uint8)]
    at, says = rows(where, *plain), rows(what, *plain)
    assert np.array_equal(at, np.repeat([np.eye(78, dtype=np.float32)[0]], 3, axis=0))
    assert not says.any()


def test_words_find_pictures_that_say_so(what: Extractor) -> None:
    assert isinstance(what, TextEncoder)
    signs = rows(what, written(KITCHEN, (60, 100)), written(TRAIN, (60, 100)))
    asked = what.encode_text(["railway station", "food", "", KITCHEN[0] + "\n" + KITCHEN[1]])
    assert asked.shape == (4, 384)
    assert (asked @ signs.T).argmax(axis=1).tolist() == [1, 0, 0, 0]
    assert not asked[2].any()
    assert near(asked[3], signs[0]) > 0.99


def test_both_from_one_search_are_as_each_alone(where: Extractor, what: Extractor) -> None:
    assert where.network == what.network
    batch = np.stack([where.prepare(each) for each in (written(TRAIN, (9, 9)), load_sample_images().images[1])])
    both = where.compute_layers(batch)
    assert np.array_equal(both["where"], where.compute(batch))
    assert np.array_equal(both["what"], what.compute(batch))


def test_sentences_are_those_of_sentence_transformers(models: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["a bus stop", "Ünïcode, 漢字 and <b>tags</b>", "one two three four five " * 15, "x"]
    theirs = SentenceTransformer(str(model_folder()), device="cpu", local_files_only=True).encode(texts)
    assert np.allclose(Sentences(models, exact=True)(texts), theirs, atol=2e-6)
    assert (Sentences(models, exact=False)(texts) * theirs).sum(axis=1).min() > 0.998
    assert np.isfinite(Sentences(models, exact=False)(["word " * 5000, " \n", "\x00\ufffd"])).all()


def test_without_openvino_the_same_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = ocr.prepare(written(TRAIN, (60, 100)))
    monkeypatch.setattr(ocr, "has_openvino", lambda: False)
    plain = ocr.Reader(exact=False)
    assert (plain.backend, plain.precision) == ("onnxruntime", "fp32")
    assert plain(prepared).texts == tuple(TRAIN)


def test_reading_is_quiet_and_safe_in_threads(
    what: Extractor, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    batches = [np.stack([what.prepare(written([word], (50, 60)))]) for word in ("north", "south", "<img src=x>")]
    alone = [what.compute(batch) for batch in batches]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(what.compute, batches * 3))
    assert all(np.array_equal(row, alone[number % 3]) for number, row in enumerate(together))
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if "img" in record.getMessage()]
