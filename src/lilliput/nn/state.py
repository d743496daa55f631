"""What decoding remembers between steps."""


class State:
    """A family's own memory; see each family for what it holds."""
