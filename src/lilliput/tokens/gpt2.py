"""GPT-2's own vocabulary: 50,257 ids, from sample data, the cache or the hub."""

import json
import os
from pathlib import Path
from typing import Literal

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Fatal, settings
from lilliput.runs.commit import commit_folder
from lilliput.tokens.byte_level import ByteLevelBPE, byte_level, load_byte_level
from lilliput.tokens.record import read_record

SIZE, END_OF_TEXT = 50257, "<|endoftext|>"
FINGERPRINT = "8792c5c1efe5dec33554dfcda7af3485d9c5fa053460a924db83621c5aa77f82"
"""Of the files whose ids were compared with the published tokenizer's."""
HUB = "openai-community/gpt2"


@settings
class GPT2Config:
    kind: Fatal[Literal["gpt2"]] = "gpt2"


def open_gpt2(cache: Path) -> ByteLevelBPE:
    """GPT-2's tokenizer from `LILLIPUT_DATA`, else from `cache`/gpt2, else from the hub into that folder."""
    folder = cache / "gpt2"
    if files := _local_files():
        return _build(*files)
    if not folder.exists():
        tokenizer = _build(*_hub_files(folder))
        commit_folder(folder, tokenizer.save)
    return _checked(load_byte_level(folder, read_record(folder)), folder)


def _local_files() -> tuple[Path, Path] | None:
    data = os.environ.get("LILLIPUT_DATA")
    if not data:
        return None
    files = Path(data) / "gpt2_tokenizer" / "encoder.json", Path(data) / "gpt2_tokenizer" / "vocab.bpe"
    return files if all(path.is_file() for path in files) else None


def _hub_files(folder: Path) -> tuple[Path, Path]:
    import huggingface_hub

    try:
        paths = [Path(huggingface_hub.hf_hub_download(HUB, name)) for name in ("vocab.json", "merges.txt")]
    except Exception as error:  # requests, httpx, offline mode and the hub each raise their own
        raise LilliputError(
            f"GPT-2's vocabulary is neither in `LILLIPUT_DATA` nor in `{folder}`, and the hub cannot be reached",
            "connect to a network once, or set LILLIPUT_DATA to where gpt2_tokenizer/{encoder.json,vocab.bpe} lie",
            Exit.UNAVAILABLE,
        ) from error
    return paths[0], paths[1]


def _build(encoder: Path, merges: Path) -> ByteLevelBPE:
    from tokenizers import models

    try:
        vocabulary = json.loads(encoder.read_text(encoding="utf-8"))
        lines = merges.read_text(encoding="utf-8").split("\n")[1:]
        pairs = [(left, right) for left, right in (line.split(" ") for line in lines if line)]
        inner = byte_level(models.BPE(vocabulary, pairs), [END_OF_TEXT])
        found = ByteLevelBPE(inner, kind="gpt2", size=SIZE, special=[END_OF_TEXT], encoder="tiktoken")
    except LilliputError:
        raise
    except Exception as error:  # `tokenizers` raises nothing narrower
        raise _foreign(encoder.parent) from error
    return _checked(found, encoder.parent)


def _checked(tokenizer: ByteLevelBPE, place: Path) -> ByteLevelBPE:
    if tokenizer.fingerprint != FINGERPRINT:
        raise _foreign(place)
    return tokenizer


def _foreign(place: Path) -> LilliputError:
    return LilliputError(f"the files in `{place}` are not GPT-2's vocabulary", "restore or delete them", Exit.CONTENT)
