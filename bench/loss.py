"""The loss behind a large vocabulary: its time beside the plain loss and torch's, and memory as tokens grow.

`python -m bench.loss`: head and loss alone, forward and backward in fp32, 256 wide, GPT-2's 50,257 tokens.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.ratio import alternate, ratio
from bench.training import own_peak
from lilliput.nn.loss import summed_nats, token_nats
from lilliput.training.memory import keep_freed_memory

DIM, VOCAB = 256, 50_257
TOLERANCE = 1.05
"""What memory beside features and their gradients may grow by, from the fewest tokens to the most."""

Loss = Callable[[nn.Linear, Tensor, Tensor, Tensor], Tensor]


def plain(head: nn.Linear, features: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    return token_nats(head, features, targets, mask).sum()


def torchs(head: nn.Linear, features: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    return F.cross_entropy(head(features).flatten(0, 1), targets.flatten(), reduction="sum")


LOSSES: dict[str, Loss] = {"ours": summed_nats, "in chunks, computed again": plain, "torch": torchs}


def once(name: str, tokens: int) -> Callable[[], None]:
    """A pass of that loss over so many tokens."""
    torch.manual_seed(0)
    head, features = nn.Linear(DIM, VOCAB, bias=False), torch.randn(1, tokens, DIM, requires_grad=True)
    targets = torch.randint(VOCAB, (1, tokens))

    def run() -> None:
        head.weight.grad = features.grad = None
        LOSSES[name](head, features, targets, targets >= 0).backward()  # type: ignore[no-untyped-call]

    return run


def peak(name: str, tokens: int) -> float:
    """MB that one pass adds to a fresh process, without features and their gradients."""
    command = [sys.executable, "-m", "bench.loss", "--once", name, str(tokens)]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 4096, 16_384])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--once", nargs=2, metavar=("NAME", "TOKENS"))
    wanted = parser.parse_args()
    if wanted.once:
        tokens = int(wanted.once[1])
        run, before = once(wanted.once[0], tokens), own_peak()
        run()
        print(own_peak() - before - tokens * DIM * 4 / 2**20)
        return
    keep_freed_memory()
    seconds = alternate({name: once(name, 2048) for name in LOSSES}, rounds=wanted.rounds, warm_up=1)
    for name in list(LOSSES)[1:]:
        print(f"2,048 tokens: {ratio(seconds, name, 'ours')} times as long", flush=True)
    peaks = [peak("ours", tokens) for tokens in wanted.tokens]
    for tokens, found in zip(wanted.tokens, peaks, strict=True):
        print(f"{tokens:,} tokens: {found:.0f} MB beside features and their gradients", flush=True)
    sys.exit(max(peaks) > TOLERANCE * peaks[0])


if __name__ == "__main__":
    main()
