"""Decoding a model of ternary layers from packed weights, against the same model with fp32 weights."""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from bench.ratio import alternate, ratio
from lilliput.config.load import dump
from lilliput.export import ternary
from lilliput.models.contract import LanguageModel
from lilliput.models.hgrn_bit import HGRNBitConfig
from lilliput.models.weights import build_model, tensors
from lilliput.nn.kernels import Kernels, kernels, use
from lilliput.nn.ternary import fastest
from lilliput.runs.run import Run
from lilliput.tokens.bytes import ByteTokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=32)
    asked = parser.parse_args()
    config = HGRNBitConfig(dim=asked.dim, num_layers=asked.layers)
    whole, packed = (build_model(config, 256, seed=0).eval() for _ in range(2))
    ternary.pack(packed)
    print(f"batch 1, width {asked.dim}, {asked.layers} layers, {torch.get_num_threads()} threads, {fastest(few=True)}")
    sizes(packed, whole, config)
    chosen = kernels()

    def fp32() -> None:
        use(replace(chosen, ternary="float"))
        ternary.decoding_speed(whole, tokens=asked.tokens)

    def packed_codes() -> None:
        use(Kernels())
        ternary.decoding_speed(packed, tokens=asked.tokens)

    seconds = alternate({"fp32": fp32, "ternary": packed_codes})
    for name, found in seconds.items():
        print(f"{name}: {(asked.tokens + ternary.WARM) / min(found):,.0f} tokens per second at best")
    print(ratio(seconds, "fp32", "ternary"), "(promised: at least 1.5)")


def sizes(packed: LanguageModel, whole: LanguageModel, config: HGRNBitConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "run")
        run.path.mkdir()
        run.write_manifest()
        path = ternary.save(run, 0, packed, {"model": dump(config)}, ByteTokenizer())
        fp32 = sum(4 * tensor.numel() for _, tensor in tensors(whole))
        print(f"weights on disk: {ternary.size(path) / 1e6:.2f} MB, in fp32 {fp32 / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
