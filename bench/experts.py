"""Mixtures against dense models of equal active parameters, and many experts against few: `python -m bench.experts`."""

import argparse
from collections.abc import Callable

import torch
from torch import nn

from bench.ratio import alternate, ratio
from lilliput.models.llama import LlamaConfig
from lilliput.models.mixtral import MixtralConfig
from lilliput.models.weights import build_model, counts
from lilliput.nn import kernels
from lilliput.nn.experts import Mixture, swiglu
from lilliput.nn.kernels import Experts, Kernels
from lilliput.nn.loss import token_nats

SHAPE = {"dim": 768, "num_heads": 12, "num_kv_heads": 4, "max_positions": 512}
"""The width of bookcorpus/light."""
VOCAB = 256
FORMS: tuple[Experts, ...] = ("sliced", "grouped")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=["dense", "many"])
    given = parser.parse_args()
    dtype, device = getattr(torch, given.dtype), torch.device(given.device)
    print(f"{given.dtype} on {given.device}, {torch.get_num_threads()} threads, {given.rounds} rounds")
    if given.only != "many":
        against_dense(given.layers, dtype, device, given.rounds)
    if given.only != "dense":
        for tokens in (8192, 512):
            many_against_few(tokens, dtype, device, given.rounds)


def against_dense(layers: int, dtype: torch.dtype, device: torch.device, rounds: int) -> None:
    """Forward and backward of whole models of few layers and a small vocabulary, which would hide the experts."""
    routed = MixtralConfig(**SHAPE, num_layers=layers, num_experts=6, ffn_dim=1664, dense_layers=0)
    dense = LlamaConfig(**SHAPE, num_layers=layers, ffn_dim=2 * 1664, tied=True)
    models = {name: build_model(config, VOCAB, 0).to(device, dtype) for name, config in (("6", routed), ("1", dense))}
    tokens = torch.randint(VOCAB, (1, 513), device=device)
    print({name: f"{counts(model).active / 1e6:.1f}M active" for name, model in models.items()})

    def train(model: nn.Module, form: Experts) -> Callable[[], None]:
        def once() -> None:
            kernels.use(Kernels(experts=form))
            output, targets = model(tokens[:, :-1]), tokens[:, 1:]
            nats = token_nats(model.head, output.features, targets, torch.ones_like(targets, dtype=torch.bool))
            (nats.mean() + sum(output.aux.values())).backward()
            for parameter in model.parameters():
                parameter.grad = None
            finish(device)

        return once

    contestants = {f"mixture {form}": train(models["6"], form) for form in FORMS} | {
        "dense": train(models["1"], "sliced")
    }
    seconds = alternate(contestants, rounds=rounds)
    for form in FORMS:
        print(f"  512 tokens, {layers} layers: {ratio(seconds, f'mixture {form}', 'dense')}")


def many_against_few(tokens: int, dtype: torch.dtype, device: torch.device, rounds: int) -> None:
    x = torch.randn(1, tokens, 512, device=device, dtype=dtype, requires_grad=True)
    upstream = torch.randn_like(x)

    def train(mixture: nn.Module, form: Experts) -> Callable[[], None]:
        def once() -> None:
            kernels.use(Kernels(experts=form))
            mixture(x)[0].backward(upstream)
            for parameter in (x, *mixture.parameters()):
                parameter.grad = None
            finish(device)

        return once

    contestants = {
        f"{experts} {form}": train(Mixture(512, 1408, experts, 2, swiglu).to(device, dtype), form)
        for form in FORMS
        for experts in (6, 24)
    }
    seconds = alternate(contestants, rounds=rounds, warm_up=1)
    for form in FORMS:
        print(f"  {tokens} tokens: {ratio(seconds, f'24 {form}', f'6 {form}')}")


def finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
