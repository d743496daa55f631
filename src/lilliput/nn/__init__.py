"""Named blocks that model families are made of, and the one loss."""
