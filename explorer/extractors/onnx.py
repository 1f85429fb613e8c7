"""Your own network in an ONNX file: "onnx:/models/mine.onnx", with settings after a question mark where it has some.

The network takes one batch of pictures, (b, 3, h, w) or (b, h, w, 3), and gives a row of numbers each, (b, n), or a
map, (b, n, h, w) or (b, h, w, n) like the input, which is averaged. Settings, joined by "&":

    size=224             the side of the square, where the file leaves it open (224 if nothing is said)
    mean=0.5,0.5,0.5     subtracted from the values, which lie in [0, 1]; then divided by
    std=0.5,0.5,0.5      (both as in ImageNet training if nothing is said; mean=0 and std=1 leave [0, 1])
    output=features      which of several outputs (the first if nothing is said)

A network whose input is of bytes gets the bytes as they are. It runs in ONNX Runtime on one thread, so that a picture
has the same vector on any machine of its kind.
"""

import hashlib
import math
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from explorer.errors import BadInput, Missing
from explorer.extractors.backends import file_hash
from explorer.extractors.base import Card, Family, FeatureSpec
from explorer.extractors.preprocessing import whole_picture

CARD = Card(
    title="Your own network (ONNX)",
    sees="Whatever it was trained for.",
    ignores="Whatever it was not. Pictures are fitted into a square, and scaled as in ImageNet training unless it is "
    "told otherwise.",
    licence="Its own",
    aspect="own",
)
WRITTEN = "onnx:/path/to/file.onnx"
BATCH = 8
MAX_SIDE = 2048
MAX_DIM = 65_536
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_BYTES = "tensor(uint8)"
_BESIDE = re.compile(rb"\x0a\x08location\x12([\x01-\x7f]|[\x80-\xff][\x01-\x7f])", re.DOTALL)
"""How the format (protocol buffers) writes the name of another file; its length follows."""


def create(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "Onnx":
    if layer:
        raise BadInput("'onnx' takes no layer: choose among the network's outputs with ?output=NAME.")
    path, _, settings = argument.partition("?")
    if not path:
        raise BadInput(f"'onnx' needs a file: write {WRITTEN}, with ?size=224&mean=0.5,0.5,0.5&std=… where needed.")
    return Onnx(Path(path).expanduser(), settings)


class Onnx:
    """A network from an ONNX file, in single precision on the processor."""

    card = CARD
    batch_size = BATCH

    def __init__(self, path: Path, settings: str = "") -> None:
        self._name = path.name
        given = _settings(settings)
        self._session = _session(path)
        self._input, self._first, side, fixed = self._shape_of_input()
        self.min_side = given.get("size", side or 224)
        if side and self.min_side != side:
            raise BadInput(f"{path.name} takes pictures of {side} pixels, not of size={self.min_side}.")
        self._fixed = fixed
        self._bytes = self._input.type == _BYTES
        if self._bytes and given.keys() & {"mean", "std"}:
            raise BadInput(f"{path.name} takes bytes as they are; mean and std do not apply.")
        self._mean = np.array(given.get("mean", _MEAN), np.float32)
        self._std = np.array(given.get("std", _STD), np.float32)
        self._output = self._chosen_output(given.get("output", ""))
        how = f"whole picture {self.min_side}, " + (
            "bytes" if self._bytes else f"mean {self._mean.tolist()}, std {self._std.tolist()}"
        )
        dim = self._tried()
        self.spec = FeatureSpec(
            extractor=f"onnx:{path}" + (f"?{settings}" if settings else ""),
            weights=_hash(path),
            layer=self._output,
            preprocessing=how,
            backend="onnxruntime",
            precision="fp16" if "float16" in self._input.type else "fp32",
            dim=dim,
        )

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (side, side, 3) uint8."""
        return whole_picture(rgb, self.min_side)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, side, side, 3) uint8, b <= 8, to (b, n) float32. Each picture goes through alone, or in a batch filled
        up with the same picture where the file fixes the batch: other company would change the last digits."""
        return np.concatenate([self._one(picture) for picture in batch])

    def _one(self, picture: np.ndarray) -> np.ndarray:
        values = picture if self._bytes else (picture / np.float32(255) - self._mean) / self._std
        values = values.transpose(2, 0, 1) if self._first else values
        values = np.ascontiguousarray(values, np.uint8 if self._bytes else _FLOATS[self._input.type])
        out = self._session.run([self._output], {self._input.name: np.repeat(values[None], self._fixed, axis=0)})[0]
        out = np.asarray(out, np.float32)
        return (out.mean(axis=(2, 3) if self._first else (1, 2)) if out.ndim == 4 else out)[:1]

    def _shape_of_input(self) -> tuple[Any, bool, int, int]:
        """The input, whether its channels come first, the side (0: open) and how many pictures at once."""
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or inputs[0].type not in (*_FLOATS, _BYTES) or 3 not in (shape[1], shape[3]):
            there = "; ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)[:300] or "none"
            raise BadInput(
                f"{self._name} is no network for pictures: it needs one input, (b, 3, h, w) or (b, h, w, 3), of floats "
                f"or bytes; it has {there}."
            )
        first = shape[1] == 3
        sides = {each for each in (shape[2:] if first else shape[1:3]) if isinstance(each, int)}
        if len(sides) > 1 or not all(0 < each <= MAX_SIDE for each in sides):
            raise BadInput(
                f"{self._name} takes pictures of {shape}; only squares of 1 to {MAX_SIDE} pixels can be made."
            )
        return inputs[0], first, next(iter(sides), 0), shape[0] if isinstance(shape[0], int) else 1

    def _chosen_output(self, wanted: str) -> str:
        names = [each.name for each in self._session.get_outputs()]
        if wanted and wanted not in names:
            raise BadInput(f"{self._name} has no output '{wanted}'; it has {', '.join(names)[:300]}.")
        return wanted or names[0]

    def _tried(self) -> int:
        """How many numbers a picture gets, found out with a grey one. Raises BadInput if that fails."""
        if not 0 < self._fixed <= 64:
            raise BadInput(f"{self._name} takes {self._fixed} pictures at once; up to 64 can be given.")
        try:
            row = self._one(np.full((self.min_side, self.min_side, 3), 128, np.uint8))
        except Exception as error:  # the runtime raises its own kinds
            raise BadInput(
                f"{self._name} cannot be run on a picture of {self.min_side} pixels: {_said(error)}"
            ) from None
        if row.ndim != 2 or not 0 < row.shape[1] <= MAX_DIM:
            raise BadInput(
                f"The output '{self._output}' of {self._name} is no row of up to {MAX_DIM:,} numbers for a picture, "
                "nor a map to be averaged; choose another with ?output=NAME."
            )
        if not np.isfinite(row).all():
            raise BadInput(f"{self._name} gives infinite numbers for a grey picture; are mean and std right?")
        return int(row.shape[1])


def _settings(written: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in parse_qsl(written, keep_blank_values=True):
        if name in given:
            raise BadInput(f"'{name}' is set twice.")
        if name in ("mean", "std"):
            given[name] = _three(name, value)
        elif name == "size" and value.isascii() and value.isdecimal() and 8 <= int(value) <= MAX_SIDE:
            given[name] = int(value)
        elif name == "output" and value:
            given[name] = value
        else:
            raise BadInput(
                f"'{name}={value}' is no setting for an ONNX network: there are size=8…{MAX_SIDE}, mean=…, std=…, "
                "output=NAME, joined by &."
            )
    if written and not given:
        raise BadInput(f"'{written}' is no setting for an ONNX network; write for example ?size=224&mean=0&std=1.")
    return given


def _three(name: str, value: str) -> list[float]:
    try:
        numbers = [float(each) for each in value.split(",")]
    except ValueError:
        numbers = []
    numbers = numbers * 3 if len(numbers) == 1 else numbers
    if len(numbers) != 3 or not all(math.isfinite(each) and (name == "mean" or each > 0) for each in numbers):
        raise BadInput(f"'{name}={value}' must be one number or three, for red, green and blue.")
    return numbers


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise Missing(f"ONNX files need another package ({error}): pip install onnxruntime") from error
    if not path.is_file():
        raise Missing(f"There is no file {path} on this machine: check the path after 'onnx:'.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        # the file's place is its folder: the runtime itself refuses data outside of it
        return onnxruntime.InferenceSession(str(path.resolve()), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises its own kinds, also for its own kernels that are not there
        raise BadInput(
            f"{path.name} is no ONNX network that can be run here: {_said(error)} Export it with standard operations "
            "only, its weights in the file or beside it."
        ) from None


def _hash(path: Path) -> str:
    """Of the file and of those beside it that hold its larger weights."""
    digest = hashlib.blake2b(file_hash(path).encode(), digest_size=16)
    beside = set()
    network = path.read_bytes()
    for found in _BESIDE.finditer(network):
        length = found[1][0] if len(found[1]) == 1 else (found[1][0] & 127) + 128 * found[1][1]
        beside.add(network[found.end() : found.end() + length].decode("utf-8", "replace"))
    for name in sorted(beside):
        if "\0" not in name and (path.parent / name).is_file():
            digest.update(file_hash(path.parent / name).encode())
    return digest.hexdigest()


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(". ") + "."


FAMILIES = (Family("onnx", CARD, create, written=WRITTEN),)
"""Its file must be named; see the head of this file for what can follow."""
