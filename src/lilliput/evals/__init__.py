"""Measuring a model: loss, bits per byte, accuracy, baselines."""
