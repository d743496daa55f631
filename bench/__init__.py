"""Side-by-side benchmarks: one command per figure, alternating runs, ratios with their spread."""

import os
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # as the command line does, before torch is imported
os.environ.setdefault("LILLIPUT_DATA", str(Path(__file__).resolve().parents[2] / "shared" / "data"))
