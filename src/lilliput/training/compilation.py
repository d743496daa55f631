"""torch.compile for the passes of training; evaluation and generation stay as written."""

import os
import shutil
from typing import Any

import torch

from lilliput.config.errors import Exit, LilliputError
from lilliput.models.contract import LanguageModel, Output


def compile_model(model: LanguageModel) -> None:
    """Compile the forward pass in training mode, in place: shapes hardly vary there.

    Raises `LilliputError` (unavailable) without a C++ compiler.
    """
    if _compiler() is None:
        raise LilliputError(
            "training.compile: no C++ compiler was found",
            "install g++ or clang, name one in CXX, or set training.compile=false",
            Exit.UNAVAILABLE,
        )
    plain = model.forward
    compiled = torch.compile(plain)

    def forward(*args: Any, **options: Any) -> Output:
        output: Output = (compiled if model.training else plain)(*args, **options)
        return output

    model.forward = forward  # type: ignore[method-assign]


def _compiler() -> str | None:
    named = os.environ.get("CXX")
    return next(filter(None, map(shutil.which, [named] if named else ["g++", "clang++", "c++", "cl"])), None)
