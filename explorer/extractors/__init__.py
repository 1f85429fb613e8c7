"""What can be seen in a picture: one family a file, found by name through the registry."""

from explorer.extractors.base import Card, Extractor, FeatureSpec, TextEncoder
from explorer.extractors.registry import available, load, load_like

__all__ = ["Card", "Extractor", "FeatureSpec", "TextEncoder", "available", "load", "load_like"]
