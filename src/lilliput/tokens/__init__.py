"""Text to ids and ids to batches: tokenizers, shards, mixture, packing, order."""
