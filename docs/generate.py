"""Writes the pages that are made from the code: `make docs`; a test compares them with what this script says."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "lilliput"
BEGIN, END = "<!-- map: written by `make docs` -->", "<!-- end of the map -->"
ROOMS = [
    *["recipes", "config", "runs", "corpus", "tokens", "nn", "models", "optim", "chat", "inference"],
    *["training", "evals", "inspection", "export", "stages", "web", "cli"],
]
"""From the lowest floor to the highest."""


def pages() -> dict[Path, str]:
    """Every generated page as it should be."""
    found = {ROOT / "README.md": readme(), ROOT / "docs" / "exit-codes.md": exit_codes()}
    if importlib.util.find_spec("lilliput.stages.recipe"):
        found[ROOT / "docs" / "config.md"] = config()
    if importlib.util.find_spec("lilliput.models.presets"):
        found[ROOT / "docs" / "models.md"] = models()
    return found


def readme() -> str:
    """README with its map made anew."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n" + "\n".join(house_map()) + f"\n\n{END}{after}"


def house_map() -> Iterator[str]:
    """One line for each module: its file and the sentence it opens with."""
    for room in ROOMS:
        files = sorted((PACKAGE / room).rglob("*.py"))
        if not files:
            continue
        yield f"- **{room}**: {sentence(PACKAGE / room / '__init__.py')}"
        for file in files:
            name = file.relative_to(PACKAGE / room).as_posix()
            if name != "__init__.py":
                yield f"  - `{name.replace('/__init__.py', '/')}` {sentence(file)}"


def sentence(file: Path) -> str:
    """The sentence that a module opens with."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def exit_codes() -> str:
    """A row for each exit code."""
    from lilliput.config.errors import MEANINGS, Exit

    rows = [f"| {code.value} | {code.name.lower().replace('_', ' ')} | {MEANINGS[code]} |" for code in Exit]
    return "\n".join(
        [
            "# Exit codes",
            "",
            "Every command ends with 0, or with one of these after `error:` and `hint:` on stderr.",
            "",
            "| code | name | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def config() -> str:
    """A row for each key of a recipe."""
    from lilliput.config.reference import reference
    from lilliput.stages.recipe import Recipe

    opening = [
        "# Every key of a recipe",
        "",
        "Words after a recipe's name set keys: `lilliput train lab/verdict optim.lr=1e-3`. The same, for one key:",
        "`lilliput config explain optim.lr`. On resume display and safe keys may change, semantic and fatal ones not.",
        "",
    ]
    return "\n".join(opening) + "\n" + reference(Recipe)


def models() -> str:
    """A row for each preset, counted on the model that the code builds."""
    from lilliput.models import PRESETS
    from lilliput.models.presets import summary

    rows = []
    for name in PRESETS:
        found = summary(name)
        amounts = [found.counts.total, found.counts.active, found.counts.non_embedding]
        millions = " | ".join(f"{amount / 1e6:.1f}M" for amount in amounts)
        rows.append(f"| `{name}` | {found.family} | {found.vocab_size:,} | {millions} | {found.note} |")
    return "\n".join(
        [
            "# Presets",
            "",
            "`model: {preset: NAME}` in a recipe. Parameters at the vocabulary named; a recipe's tokenizer decides.",
            "",
            "| preset | family | vocabulary | parameters | active | without embeddings | |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
