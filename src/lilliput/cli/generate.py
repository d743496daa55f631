"""`lilliput generate`: let a model write."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from lilliput.cli.dialogue import STOPPED, converse, show, speed
from lilliput.cli.terminal import note, say, say_json
from lilliput.config.errors import Exit, LilliputError

if TYPE_CHECKING:
    from lilliput.inference.sampling import SamplingConfig
    from lilliput.stages.opened import Opened
    from lilliput.stages.writing import Examination

Tree = dict[str, Any]


def generate(
    model: Annotated[str, Argument(help="a run, `run@best`, `run@500`, or a checkpoint's folder")],
    prompt: Annotated[list[str] | None, Option(help="text to go on from; may be given several times")] = None,
    prompt_file: Annotated[Path | None, Option(help="a file with one prompt on each line")] = None,
    output_file: Annotated[Path | None, Option(help="write the texts there instead of to the terminal")] = None,
    num_samples: Annotated[int, Option(min=1, help="texts after each prompt")] = 1,
    max_tokens: Annotated[int | None, Option(help="tokens to write at most [default: 100]")] = None,
    temperature: Annotated[float | None, Option(help="below 1 safer, above 1 wilder, 0 greedy [default: 1.0]")] = None,
    top_k: Annotated[int | None, Option(help="draw from the k most likely tokens; 0 = all [default: 50]")] = None,
    top_p: Annotated[float | None, Option(help="draw from the top share p; 1 = all [default: 0.9]")] = None,
    min_p: Annotated[float | None, Option(help="drop tokens below this share of the best [default: 0.0]")] = None,
    repetition_penalty: Annotated[float | None, Option(help="above 1 avoids what was said [default: 1.0]")] = None,
    seed: Annotated[int | None, Option(help="the same seed writes the same text [default: 0]")] = None,
    greedy: Annotated[bool, Option("--greedy", help="always the most likely token")] = False,
    stop: Annotated[list[str] | None, Option(help="end a text before this; may be given several times")] = None,
    device: Annotated[str, Option(help="auto, cpu, cuda or mps")] = "auto",
    report: Annotated[bool, Option("--report", help="examine the texts, and what the corpus holds of them")] = False,
    interactive: Annotated[bool, Option("--interactive", help="ask for prompts; /help lists commands")] = False,
    json: Annotated[bool, Option("--json", help="texts, tokens and reasons for a program")] = False,
) -> int:
    """Let a model write, from your prompts or from nothing.

    Example: lilliput generate lab-verdict@best --prompt "I had always thought" --temperature 0.8
    """
    given = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
        "greedy": greedy or None,
        "stop": stop or None,
    }
    prompts = [*(prompt or []), *(_lines(prompt_file) if prompt_file else [])] or [""]
    from lilliput.stages.opened import open_model

    sampling = _sampling({key: value for key, value in given.items() if value is not None})
    opened = open_model(model, device)
    _note_unread(opened, prompts)
    if interactive:
        converse(opened, sampling, _sampling)
    elif json or report or output_file or len(prompts) * num_samples > 1:
        _write_all(opened, prompts, sampling, num_samples, output_file, json, report)
    else:
        return _write_one(opened, prompts[0], sampling)
    return 0


def _sampling(tree: Tree) -> "SamplingConfig":
    from lilliput.config.load import load
    from lilliput.inference.sampling import SamplingConfig

    try:
        return load(SamplingConfig, tree)
    except LilliputError as error:
        raise LilliputError(error.cause, "`lilliput generate --help` shows the options", Exit.USAGE) from None


def _lines(path: Path) -> list[str]:
    try:
        prompts = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise LilliputError(f"{path}: no such file", "check --prompt-file", Exit.MISSING) from None
    except UnicodeDecodeError as error:
        cause = f"{path}: byte {error.start} is no UTF-8"
        raise LilliputError(cause, "save the prompts as UTF-8", Exit.CONTENT) from None
    if not prompts:
        raise LilliputError(f"{path}: no prompt in it", "write one prompt on each line", Exit.CONTENT)
    return prompts


def _write_one(opened: "Opened", prompt: str, sampling: "SamplingConfig") -> int:
    """Show one text while it is written; a text stopped by Ctrl-C ends the command as any signal does."""
    say(prompt, end="")
    ended, speed = show(opened, prompt, sampling)
    note(f"[{speed}; {ended}]")
    return Exit.INTERRUPTED if ended == STOPPED else 0


def _write_all(
    opened: "Opened",
    prompts: Sequence[str],
    sampling: "SamplingConfig",
    samples: int,
    path: Path | None,
    as_json: bool,
    report: bool,
) -> None:
    """Write all texts side by side, then print them or put them into a file; at last what they show."""
    from lilliput.config.load import dump
    from lilliput.inference.generate import generate
    from lilliput.stages.writing import examine

    start = time.perf_counter()
    done = generate(opened.model, opened.tokenizer, prompts, sampling, samples=samples)
    seconds, tokens = time.perf_counter() - start, sum(len(text.ids) for text in done)
    texts = [
        {"prompt": prompts[d.prompt], "sample": d.sample, "text": d.text, "tokens": len(d.ids), "reason": d.reason}
        for d in done
    ]
    whole = {"model": opened.name, "sampling": dump(sampling), "tokens": tokens, "seconds": seconds, "texts": texts}
    examined = examine(opened, done) if report else None
    if examined:
        whole["report"] = asdict(examined)
    if path:
        _save(path, dumps(whole, ensure_ascii=False, indent=2) + "\n" if as_json else _page(texts))
        note(f"{len(texts)} texts written to {path}")
    elif as_json:
        say_json(whole)
    else:
        say(_page(texts), end="")
    if examined and not as_json:
        _show(examined)
    note(f"[{speed(tokens, seconds)}]")


def _show(found: "Examination") -> None:
    say(f"whole UTF-8 characters    {found.utf8_validity:.1%} of the bytes")
    say(f"distinct pairs of words   {found.distinct:.1%}")
    say(f"repeated groups of four   {found.repetition:.1%}")
    length, compared = len(found.verbatim), found.compared
    say(f"verbatim from the corpus  {length:,} characters at most, of {compared:,} searched: {found.verbatim!r}")


def _page(texts: Sequence[Tree]) -> str:
    """Each text after its prompt, under a line that numbers it."""
    heads = (f"--- {i} of {len(texts)} ({text['reason']})" for i, text in enumerate(texts, 1))
    return "".join(f"{head}\n{text['prompt']}{text['text']}\n" for head, text in zip(heads, texts, strict=True))


def _save(path: Path, text: str) -> None:
    from lilliput.runs.durable import replace

    if not path.parent.is_dir():
        raise LilliputError(f"{path.parent}: no such folder", "make it, or name another --output-file", Exit.MISSING)
    if path.is_dir():
        raise LilliputError(f"{path}: is a folder", "name a file as --output-file", Exit.EXISTS)
    replace(path, text.encode("utf-8", "backslashreplace"))


def _note_unread(opened: "Opened", prompts: Sequence[str]) -> None:
    from lilliput.inference.generate import unread

    for number, prompt in enumerate(prompts, 1):
        if count := unread(opened.model, opened.tokenizer, prompt):
            places = opened.model.config.max_positions
            note(f"prompt {number}: its first {count} tokens are not read, since the model has {places} positions")
