"""The run directory and every durable write."""
