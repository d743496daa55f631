"""Documents in, documents out: sources, text repair, filters, duplicates, n-grams."""
