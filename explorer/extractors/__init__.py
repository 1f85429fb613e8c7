"""What can be seen in a picture: one family a file, found by name through the registry."""

from explorer.extractors.base import Card, Extractor, Family, FeatureSpec, TextEncoder, prepared
from explorer.extractors.registry import available, families, load, load_like, title_of

__all__ = [
    "Card",
    "Extractor",
    "Family",
    "FeatureSpec",
    "TextEncoder",
    "available",
    "families",
    "load",
    "load_like",
    "prepared",
    "title_of",
]
