"""What a person is told where cleaning leaves nothing of a text: which rules left out how much, and what to do."""

from collections import Counter

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.duplicates import EXACT, LINES, NEAR
from lilliput.corpus.filters import RULES
from lilliput.corpus.filters.length import SHORT
from lilliput.corpus.perplexity import PLAIN, STRANGE
from lilliput.corpus.sources.entry import BEYOND

TOLD = 4
"""Reasons that are named."""
STEPS = {
    SHORT: "short",
    **dict.fromkeys((EXACT, LINES, NEAR), "duplicates"),
    **dict.fromkeys((STRANGE, PLAIN), "perplexity"),
}
"""Reasons that do not begin with the name of what gives them."""


def emptied(what: str, dropped: Counter[str]) -> LilliputError | None:
    """The refusal of a text, where cleaning left something of it out; `what` says that nothing is left, and of what."""
    left_out = Counter({reason: count for reason, count in dropped.items() if reason != BEYOND})
    steps = list(dict.fromkeys(step for reason, _ in left_out.most_common() if (step := by(reason))))
    if not steps:
        return None
    told = [f"{reason} {count:,}" for reason, count in left_out.most_common(TOLD)]
    told += [f"{len(left_out) - TOLD} more reasons"] if len(left_out) > TOLD else []
    words = " and ".join(f"`{step}`" for step in steps[:TOLD])
    return LilliputError(
        f"{what}; left out were {', '.join(told)}",
        f"make {words} of the cleaning milder or switch {'it' if len(steps) == 1 else 'them'} off, or give other text",
        Exit.CONTENT,
    )


def by(reason: str) -> str | None:
    """The rule, or the step over all sources, that leaves documents out for this reason."""
    if reason in STEPS:
        return STEPS[reason]
    if reason.startswith("nothing left after "):
        return reason.removeprefix("nothing left after ")
    if reason.startswith("holds text of "):
        return "contamination"
    name = reason.partition(":")[0]
    return name if name in RULES else None
