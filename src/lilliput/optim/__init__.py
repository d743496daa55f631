"""AdamW, Muon, parameter groups and schedules."""
