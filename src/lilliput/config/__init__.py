"""Settings: declared once beside the code that reads them, read from recipes, explained to people."""
