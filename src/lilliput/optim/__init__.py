"""AdamW, Muon, parameter groups and schedules."""

from collections.abc import Container, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field

from lilliput.optim.adamw import AdamWConfig, adamw
from lilliput.optim.groups import NONE, Group, Trainable, group_parameters
from lilliput.optim.muon import Muon, MuonConfig
from lilliput.optim.optimizer import Optimizer, Weights

__all__ = ["AdamWConfig", "MuonConfig", "OptimConfig", "Optimizer", "build_optimizer"]

OptimConfig = Annotated[AdamWConfig | MuonConfig, Field(discriminator="kind")]


def build_optimizer(
    model: Trainable,
    config: AdamWConfig | MuonConfig,
    dtype: torch.dtype = torch.float32,
    *,
    factors: Mapping[str, float] = NONE,
    late: Container[str] = (),
) -> Optimizer:
    """The optimizer of a model in fp32, already on its device.

    With another `dtype` the model's parameters are lowered to it, and updates act on fp32 masters of them. `factors`
    multiply the learning rates of parameters by name; `late` ones learn after the updates given to `Optimizer.sleep`.
    """
    groups = group_parameters(model, decay_embeddings=config.decay_embeddings, factors=factors, late=late)
    weights = Weights(model, dtype)
    if isinstance(config, AdamWConfig):
        return Optimizer(weights, [adamw(_torch_groups(groups, weights, config.lr, config.weight_decay), config)])
    hidden = _torch_groups([g for g in groups if g.hidden], weights, config.lr, config.weight_decay)
    rest = _torch_groups([g for g in groups if not g.hidden], weights, config.adamw.lr, config.adamw.weight_decay)
    parts: list[torch.optim.Optimizer] = []
    if hidden:
        parts.append(Muon(hidden, momentum=config.momentum, nesterov=config.nesterov, ns_steps=config.iterations))
    if rest:
        parts.append(adamw(rest, config.adamw))
    return Optimizer(weights, parts)


def _torch_groups(groups: list[Group], weights: Weights, lr: float, weight_decay: float) -> list[dict[str, Any]]:
    return [
        {
            "params": [weights.named[name] for name in group.names],
            "lr": lr * group.scale,
            "peak_lr": lr * group.scale,
            "weight_decay": weight_decay if group.decays else 0.0,
            "late": group.late,
            "asleep": 0,
        }
        for group in groups
    ]
