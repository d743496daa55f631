"""Lilliput: a laboratory for small language models, from text to a served model."""

__version__ = "0.1.0"
