"""Choosing tokens: sampling, prefill and cached decoding."""
