"""Cached greedy generation against transformers' `generate`: the same weights in both, and the same tokens out.

`python -m bench.generation` prints tokens per second, ratios, and which share of its bound each reaches: weights read
once per token at the rate at which this machine reads memory, measured in the same run.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from itertools import chain
from statistics import median
from typing import Any

import torch
from torch import Tensor

from bench.ratio import alternate, ratio
from lilliput.inference.generate import generate
from lilliput.inference.sampling import SamplingConfig
from lilliput.models import gpt2, llama
from lilliput.models.contract import LanguageModel
from lilliput.models.weights import tensors
from lilliput.tokens.bytes import ByteTokenizer

PROMPT = 32
"""Tokens read before the first is written, begin included."""


class Letters(ByteTokenizer):
    """A vocabulary of any size, each id spelled as one letter; ours makes text of its tokens, as it always does."""

    def __init__(self, size: int) -> None:
        self.size, self.begin, self.end = size, size - 1, size - 1

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return bytes(97 + i % 26 for i in ids if i != self.end)


def gpt2_pair(config: gpt2.GPT2Config, vocab_size: int) -> tuple[LanguageModel, Any]:
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"n_embd": config.dim, "n_layer": config.num_layers, "n_head": config.num_heads}
    ends = {"bos_token_id": vocab_size - 1, "eos_token_id": vocab_size - 1}
    settings = GPT2Config(vocab_size=vocab_size, n_positions=config.max_positions, **ends, **shape)
    return _filled(config.build(vocab_size), GPT2LMHeadModel(settings), gpt2.to_hub)


def llama_pair(config: llama.LlamaConfig, vocab_size: int) -> tuple[LanguageModel, Any]:
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=config.dim,
        intermediate_size=config.ffn_dim,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        max_position_embeddings=config.max_positions,
        rms_norm_eps=config.norm_eps,
        bos_token_id=vocab_size - 1,
        eos_token_id=vocab_size - 1,
    )
    return _filled(config.build(vocab_size), LlamaForCausalLM(settings), llama.to_hub)


def _filled(ours: LanguageModel, theirs: Any, to_hub: Any) -> tuple[LanguageModel, Any]:
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in ours.named_parameters():
            if weight.ndim == 2:  # large enough that what is written varies
                weight.normal_(std=0.02 if "embed" in name else 0.08, generator=draw)
        ours.head.weight[-1] = 0.0  # end is never the likeliest
    missing, unknown = theirs.load_state_dict(to_hub(dict(tensors(ours))), strict=False)
    assert not unknown and all("lm_head" in name or "inv_freq" in name for name in missing), (missing, unknown)
    theirs.tie_weights()
    return ours.eval(), theirs.eval()


PAIRS: dict[str, tuple[Callable[[], tuple[LanguageModel, Any]], int, float]] = {
    "gpt2 10M": (
        lambda: gpt2_pair(gpt2.GPT2Config(dim=384, num_layers=6, num_heads=6, max_positions=512), 256),
        128,
        2.0,
    ),
    "llama 10M": (
        lambda: llama_pair(llama.LlamaConfig(dim=384, num_layers=6, num_heads=6, ffn_dim=1024, max_positions=512), 256),
        128,
        2.0,
    ),
    "gpt2 124M": (lambda: gpt2_pair(gpt2.PRESETS["gpt2/124m"].config, 50_257), 32, 1.6),
}
"""Models, tokens to write in a round, and how many times as fast we promise to be."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", default=",".join(PAIRS), help="which, divided by commas")
    parser.add_argument("--batches", default="1,8", help="texts side by side, divided by commas")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    rate, missed = read_rate(), 0
    print(f"{wanted.precision}, {wanted.threads} threads, memory read at {rate / 1e9:.1f} GB/s")
    for name in wanted.models.split(","):
        make, tokens, promised = PAIRS[name]
        dtype = torch.float32 if wanted.precision == "fp32" else torch.bfloat16
        ours, theirs = (model.to(dtype) for model in make())
        bound = rate / sum(tensor.nbytes for tensor in read_per_token(ours))
        for batch in map(int, wanted.batches.split(",")):
            missed += not compare(name, ours, theirs, batch, tokens, wanted.rounds, bound, promised)
    sys.exit(missed > 0)


def compare(
    name: str, ours: LanguageModel, theirs: Any, batch: int, tokens: int, rounds: int, bound: float, promised: float
) -> bool:
    """Whether ours is as many times as fast as promised."""
    letters = Letters(ours.vocab_size)
    prompts = ["".join(chr(97 + (7 * i + j * j) % 26) for j in range(PROMPT - 1)) for i in range(batch)]
    ids = torch.tensor([[letters.begin, *letters.encode(prompt)] for prompt in prompts])
    greedy = SamplingConfig(greedy=True, max_tokens=tokens)

    def lilliput() -> list[list[int]]:
        return [list(text.ids) for text in generate(ours, letters, prompts, greedy)]

    def transformers() -> list[list[int]]:
        written: Tensor = theirs.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, pad_token_id=letters.end
        )
        return written[:, PROMPT:].tolist()  # type: ignore[no-any-return]

    one, other = lilliput(), transformers()
    same = sum(a == b for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))
    if ours.head.weight.dtype == torch.float32:
        assert one == other, f"{name}: {same} of {batch * tokens} tokens are the same"
    seconds = alternate({"transformers": transformers, "lilliput": lilliput}, rounds=rounds, warm_up=1)
    speeds = {who: batch * tokens / median(found) for who, found in seconds.items()}
    print(f"{name}, batch {batch}, {len(set(chain(*one)))} different tokens, {same} of {batch * tokens} equal")
    for who, speed in speeds.items():
        print(f"  {who}: {speed:,.0f} tokens per second, {speed / batch / bound:.2f} of the read bound")
    found = ratio(seconds, "transformers", "lilliput")
    print(f"  {found} (promised: at least {promised})", flush=True)
    return found.value >= promised


def read_per_token(model: LanguageModel) -> list[Tensor]:
    """The weights that each token passes through; of embeddings it takes a row."""
    parts = (model.head.weight, *(tensor for name, tensor in tensors(model) if "embed" not in name))
    return list({tensor.data_ptr(): tensor for tensor in parts}.values())


def read_rate() -> float:
    """Bytes per second of adding up 400 MB, the best of some runs."""
    much, best = torch.ones(100_000_000), float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        much.sum()
        best = min(best, time.perf_counter() - begun)
    return much.nbytes / best


if __name__ == "__main__":
    main()
