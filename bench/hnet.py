"""H-Net against a flat model of as many parameters: bytes per second of training at one chunk per four bytes.

`python -m bench.hnet`; the router's choice is forced, since an untrained one cuts anywhere.
"""

import argparse
from collections.abc import Callable
from functools import partial
from types import MethodType

import torch
from torch import Tensor

from bench.ratio import alternate, ratio
from lilliput.models.contract import LanguageModel
from lilliput.models.hgrn_bit import HGRNBitConfig
from lilliput.models.hnet_bit import HNetBit, HNetBitConfig
from lilliput.models.weights import build_model, counts
from lilliput.nn.loss import token_nats

CHUNK = 4
HIERARCHICAL = HNetBitConfig(dims=(256, 384), num_layers=((2, 0, 2), (5,)), chunk_size=CHUNK)
FLAT = HGRNBitConfig(dim=320, num_layers=10)


def every_fourth(_: object, probability: Tensor) -> Tensor:
    """Boundaries (B, T) at the first of each four bytes."""
    return (torch.arange(probability.shape[1], device=probability.device) % CHUNK == 0).expand_as(probability)


def update(model: LanguageModel, tokens: Tensor) -> None:
    """Forward and backward of one micro-batch (B, T + 1)."""
    targets = tokens[:, 1:]
    output = model(tokens[:, :-1])
    nats = token_nats(model.head, output.features, targets, torch.ones_like(targets, dtype=torch.bool))
    (nats.mean() + sum(output.aux.values())).backward()
    for parameter in model.parameters():
        parameter.grad = None


def contestants(batch: int, time: int) -> dict[str, Callable[[], None]]:
    models = {"flat": build_model(FLAT, 256, seed=0), "hierarchical": build_model(HIERARCHICAL, 256, seed=0)}
    hierarchical = models["hierarchical"]
    assert isinstance(hierarchical, HNetBit)
    router = hierarchical.level.router
    router.choose = MethodType(every_fourth, router)  # type: ignore[method-assign]
    tokens = torch.randint(256, (batch, time + 1), generator=torch.Generator().manual_seed(0))
    return {name: partial(update, model.train(), tokens) for name, model in models.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=2048, help="bytes per micro-batch")
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for config in (HIERARCHICAL, FLAT):
        print(f"{config.family}: {counts(build_model(config, 256, seed=0)).non_embedding:,} parameters")
    for time in options.lengths:
        seconds = alternate(contestants(options.tokens // time, time), rounds=options.rounds)
        print(f"{options.tokens // time} x {time}: {ratio(seconds, 'flat', 'hierarchical')} times the bytes per second")


if __name__ == "__main__":
    main()
