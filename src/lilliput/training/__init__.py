"""The loop and what it runs on: precision, memory, checkpoints, meter."""
