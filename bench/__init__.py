"""Side-by-side benchmarks: one command per figure, alternating runs, ratios with their spread."""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # as the command line does, before torch is imported
