"""Mixtures of experts: a router, stacked experts to which tokens are sent sorted, none dropped, and balance losses.

A family puts `Mixture` where a feed-forward stands; it returns its output and a `Routing`. `told` makes auxiliary
losses and monitors of all layers' routings.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.nn.grouped_product import Groups, product

# Shapes: B batch, T time, D dim, N tokens = B x T, X experts, k experts a token is sent to, R rows = N x k, F ffn dim

Activation = Callable[[Tensor], Tensor]
"""(R, 2 F) -> (R, F)"""


Told = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Auxiliary losses, and monitors, by name."""


class Routing(NamedTuple):
    """Where a layer's tokens were sent."""

    chosen: Tensor  # (N, k), ids of experts
    weights: Tensor  # (N, k), of their outputs
    logits: Tensor  # (N, X), float32 or wider


class Router(nn.Linear):
    """Logits of every expert, in float32 (float64 for a float64 model) whatever the precision of the weights."""

    def forward(self, x: Tensor) -> Tensor:
        precise = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            bias = None if self.bias is None else self.bias.to(precise)
            return F.linear(x.to(precise), self.weight.to(precise), bias)


def route(logits: Tensor, active: int) -> Routing:
    """Send each token to its `active` likeliest experts, weighted by a softmax over their logits.

    That is the softmax over all, cut to the likeliest and scaled to sum 1. With one expert it would always be 1 and the
    router could learn nothing from the language, so a single expert has its share of the softmax over all experts
    (Switch, arXiv 2101.03961).
    """
    best, chosen = logits.topk(active, dim=-1)
    if active == 1:
        return Routing(chosen, logits.softmax(dim=-1).gather(-1, chosen), logits)
    return Routing(chosen, best.softmax(dim=-1), logits)


class Stack(nn.Module):
    """The same linear layer of every expert: weight (X, out, in), and if asked bias (X, out)."""

    def __init__(self, num_experts: int, features_in: int, features_out: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_experts, features_out, features_in))
        self.bias = nn.Parameter(torch.zeros(num_experts, features_out)) if bias else None
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, rows: Tensor, groups: Groups) -> Tensor:
        """Of rows (R, in), each by its own expert: (R, out)."""
        bias = None if self.bias is None else self.bias.to(rows.dtype)
        return product(rows, self.weight.to(rows.dtype), bias, groups)


class Mixture(nn.Module):
    """X gated feed-forwards, each token through k of them."""

    def __init__(
        self,
        dim: int,
        ffn_dim: int,
        num_experts: int,
        active: int,
        activation: Activation,
        *,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.num_experts, self.active, self.activation = num_experts, active, activation
        self.router = Router(dim, num_experts, bias=bias)
        self.gate_up = Stack(num_experts, dim, 2 * ffn_dim, bias=bias)
        self.down = Stack(num_experts, ffn_dim, dim, bias=bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Routing]:
        """Of x (B, T, D): the same shape, and where its tokens were sent."""
        flat = x.flatten(0, -2)  # (N, D)
        routing = route(self.router(flat), self.active)
        groups = Groups(routing.chosen, self.num_experts)
        hidden = self.activation(self.gate_up(groups.spread(_cast(flat)), groups))  # (R, F)
        return groups.gather(self.down(hidden, groups), routing.weights).view_as(x), routing

    def flops_per_token(self) -> int:
        each = self.gate_up.weight[0].numel() + self.down.weight[0].numel()
        return 2 * (self.active * each + self.router.weight.numel())

    def idle_parameters(self) -> int:
        """Parameters of the experts that a token was not sent to."""
        each = sum(p[0].numel() for part in (self.gate_up, self.down) for p in part.parameters())
        return (self.num_experts - self.active) * each


def swiglu(h: Tensor) -> Tensor:
    """SwiGLU of h (R, 2 F), gates before linear values."""
    gate, up = h.chunk(2, dim=-1)
    return F.silu(gate) * up


def clamped_swiglu(h: Tensor, limit: float = 7.0, alpha: float = 1.702) -> Tensor:
    """GPT-OSS' SwiGLU of h (R, 2 F), gates at even places: gates cut above, values on both sides, and moved by 1."""
    gate, up = h.reshape(*h.shape[:-1], -1, 2).unbind(dim=-1)
    gate, up = gate.clamp(max=limit), up.clamp(-limit, limit)
    return gate * torch.sigmoid(alpha * gate) * (up + 1)


def told(routings: Mapping[int, Routing], documents: Tensor | None, *, balance: float, router_z: float) -> Told:
    """Auxiliary losses, means over the layers times their weights, and monitors by `experts.<layer>.<what>`.

    Without a layer's number stand the largest share of any and the mean entropy of a router's choice. Padding, document
    -1 of `documents` (B, T), does not count; a layer with one expert has nothing to tell.
    """
    losses: dict[str, list[Tensor]] = {"balance": [], "router_z": []}
    monitors: dict[str, Tensor] = {}
    counted = None if documents is None else (documents >= 0).flatten()  # (N,)
    for layer, routing in routings.items():
        if routing.logits.shape[-1] == 1:
            continue
        share = load(routing, counted)
        losses["balance"].append(balance_loss(routing, counted))
        losses["router_z"].append(z_loss(routing, counted))
        monitors |= {f"experts.{layer}.load.{expert}": part for expert, part in enumerate(share.unbind())}
        monitors[f"experts.{layer}.entropy"] = torch.special.entr(share).sum()
        monitors[f"experts.{layer}.largest"] = share.max()
        doubt = torch.special.entr(routing.logits.detach().softmax(dim=-1)).sum(dim=-1)  # (N,)
        monitors[f"experts.{layer}.router_entropy"] = _mean(doubt, counted)
    if monitors:
        largest, doubts = (
            [v for n, v in monitors.items() if n.endswith(end)] for end in (".largest", ".router_entropy")
        )
        monitors["experts.largest"] = torch.stack(largest).max()
        monitors["experts.router_entropy"] = torch.stack(doubts).mean()
    weights = {"balance": balance, "router_z": router_z}
    aux = {name: weights[name] * torch.stack(each).mean() for name, each in losses.items() if each and weights[name]}
    return aux, monitors


def load(routing: Routing, counted: Tensor | None = None) -> Tensor:
    """Each expert's share (X,) of the assignments of the tokens that count."""
    experts = torch.arange(routing.logits.shape[-1], device=routing.chosen.device)
    sent = (routing.chosen[..., None] == experts).sum(dim=1)  # (N, X)
    return _mean(sent.to(routing.logits.dtype), counted).detach() / routing.chosen.shape[1]


def balance_loss(routing: Routing, counted: Tensor | None = None) -> Tensor:
    """X times the sum over experts of load times mean probability (Switch, arXiv 2101.03961); at least about 1."""
    probability = _mean(routing.logits.softmax(dim=-1), counted)  # (X,)
    return len(probability) * (load(routing, counted) * probability).sum()


def z_loss(routing: Routing, counted: Tensor | None = None) -> Tensor:
    """The mean square of the logits' log-sum-exp (ST-MoE, arXiv 2202.08906)."""
    return _mean(routing.logits.logsumexp(dim=-1).square(), counted)


def refuse_experts(num_experts: int, active: int) -> None:
    """ValueError naming the key and what it may be, where a token is sent to more experts than there are."""
    if active > num_experts:
        raise ValueError(
            f"num_active_experts ({active}) must be at most num_experts ({num_experts}); it may be 1 to {num_experts}"
        )


def _cast(x: Tensor) -> Tensor:
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


def _mean(values: Tensor, counted: Tensor | None) -> Tensor:
    """Over the tokens (N, ...) that count."""
    if counted is None:
        return values.mean(dim=0)
    kept = counted.to(values.dtype)
    return (kept @ values) / kept.sum().clamp(min=1)
