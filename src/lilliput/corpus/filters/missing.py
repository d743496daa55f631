"""What a person is told where the library of a rule is not installed."""

from lilliput.config.errors import Exit, LilliputError


def missing(rule: str, package: str) -> LilliputError:
    """The refusal of a rule whose package belongs to the extra `data`."""
    return LilliputError(
        f"the rule `{rule}` needs the package {package}", "pip install 'lilliput[data]'", Exit.UNAVAILABLE
    )
