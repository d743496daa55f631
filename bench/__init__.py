"""Side-by-side benchmarks: one command per figure, alternating runs, ratios with their spread."""
