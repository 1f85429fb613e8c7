"""Dataset Explorer: an image collection as a map, and a classifier from a few dozen answers."""

__version__ = "0.1.0"
