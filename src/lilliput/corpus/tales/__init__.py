"""Tales: short stories from a grammar that a reader can undo, so that the chance of each story is known exactly."""
