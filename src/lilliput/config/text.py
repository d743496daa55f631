"""The text of a recipe, YAML or JSON, into a tree; what a reader of YAML 1.2 would take otherwise is refused."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lilliput.config.errors import Exit, LilliputError

Tree = dict[str, Any]


def read(path: Path) -> Tree:
    """The tree that a file says; an unreadable file or an ambiguous value is refused."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise LilliputError(f"{path}: no such file", "check the path", Exit.MISSING) from None
    except UnicodeDecodeError as error:
        raise refused([f"{path}: byte {error.start} is no UTF-8"], "save the file as UTF-8") from None
    except OSError as error:
        raise LilliputError(f"{path}: {error.strerror}", "check the path and its permissions", Exit.MISSING) from None
    return parse(text, str(path))


def parse(text: str, origin: str) -> Tree:
    """The mapping that a text says; `origin` opens each message."""

    def where(line: int) -> str:
        return f"{origin}: line {line}: " if "\n" in text else f"{origin}: "

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        wrong = [where(line) + message for line, message in _ambiguous(node)]
        if node is not None and not isinstance(node, yaml.MappingNode):
            wrong.append(f"{origin}: a recipe is a mapping of keys to values")
        if wrong:
            raise refused(wrong, "write the value in another form, or quote it")
        return dict(OmegaConf.to_container(OmegaConf.create(text))) if node is not None else {}  # type: ignore[arg-type]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise refused([f"{where(line)}{error.problem}"], "correct the YAML, or quote the value") from None
    except RecursionError:
        raise refused([f"{origin}: nested too deeply"], "correct the YAML") from None
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise refused([f"{origin}: {reason}"], "correct the YAML, or quote the value") from None


def refused(causes: list[str], action: str) -> LilliputError:
    """One error for all problems of a recipe."""
    return LilliputError("\n".join(causes), action, Exit.RECIPE)


def _ambiguous(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Line and message of each scalar and key that may not be what its writer meant."""
    if isinstance(node, yaml.ScalarNode):
        message = _ambiguity(node.value, node.tag.rpartition(":")[2])
        if message:
            yield node.start_mark.line + 1, message
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _ambiguous(item)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag.rpartition(":")[2] not in ("str", "merge"):
                yield key.start_mark.line + 1, f"{key.value!s} is no text and so no key; quote it"
            yield from _ambiguous(value)


def _ambiguity(text: str, kind: str) -> str | None:
    if "${" in text:
        return "`${` is refused: a recipe says each value itself"
    if re.search("[\ud800-\udfff]", text):
        return f"{text!a} holds half a character"
    if kind == "bool" and text.lower() not in ("true", "false"):
        return f"{text} is a truth value to YAML 1.1 only; write true or false, or quote it"
    if kind in ("int", "float") and ":" in text:
        return f"{text} is a base-60 number to YAML 1.1 only; quote it"
    if kind == "int" and re.fullmatch(r"[-+]?0[0-9_]+", text):
        return f"{text} is an octal number to YAML 1.1 only; drop the leading zero, or quote it"
    if kind == "float" and re.fullmatch(r"[-+]?\.(inf|nan)", text, re.IGNORECASE):
        return f"{text} is not a finite number"
    return None
