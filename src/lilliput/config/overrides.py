"""`key=value` words of a command line, set in a recipe's tree."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.text import Tree, parse, refused

Presets = Mapping[str, Mapping[str, Tree]]
"""Section -> preset's name -> its tree, e.g. `{"model": {"lab/nano": {"family": "gpt2", ...}}}`."""

TAGS = ("family", "kind")
KEY = re.compile(r"[^\s.\[\]=]+(\.[^\s.\[\]=]+|\[\d+\])*")


def merge(tree: Tree, overrides: Sequence[str], presets: Presets | None = None) -> Tree:
    """`tree` with each `key=value` set in order; a whole mapping or list replaces what stood there.

    A word that changes the tag of a preset's section (`model.family=llama`) takes the preset away with all its keys.
    """
    config, wrong = OmegaConf.create(tree), []
    for word in overrides:
        try:
            _put(config, word)
        except LilliputError as error:
            wrong.append(error)
    if wrong:
        raise LilliputError("\n".join(error.cause for error in wrong), wrong[0].action, wrong[0].code)
    merged = dict(OmegaConf.to_container(config))  # type: ignore[arg-type]
    for section, known in (presets or {}).items():
        _leave_preset(merged.get(section), tree.get(section), known)
    return merged


def _put(config: Any, word: str) -> None:
    key, equals, text = word.partition("=")
    if not equals or not KEY.fullmatch(key):
        raise LilliputError(f"{word}: not of the form key=value", "write e.g. `optim.lr=3e-4`", Exit.USAGE)
    value = parse(f"value: {text}", word)
    if len(value) != 1:
        raise refused([f"{word}: more than one value"], "quote the value")
    try:
        _refuse_path_through_value(config, key)
        OmegaConf.update(config, key, value["value"], merge=False, force_add=True)
    except (OmegaConfBaseException, ValueError, TypeError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise refused([f"{word}: {reason}"], "name a key that the recipe has, or set the whole value") from None


def _refuse_path_through_value(config: Any, key: str) -> None:
    """OmegaConf would silently replace a plain value that stands on the way to the key."""
    above = ""
    for part in re.split(r"\.|(?=\[)", key)[:-1]:
        above += part if part.startswith("[") or not above else f".{part}"
        value = OmegaConf.select(config, above)
        if value is not None and not OmegaConf.is_config(value):
            raise ValueError(f"{above} is {json.dumps(value)}, which has no keys")


def _leave_preset(now: Any, before: Any, known: Mapping[str, Tree]) -> None:
    """Drop the preset of a section whose tag a word has changed, unless a word also names the preset."""
    if not (isinstance(now, dict) and isinstance(before, dict)) or now.get("preset") != before.get("preset"):
        return
    preset = known.get(str(now.get("preset")), {})
    changed = [tag for tag in TAGS if tag in now and now[tag] != before.get(tag)]
    if any(tag in preset and preset[tag] != now[tag] for tag in changed):
        del now["preset"]
