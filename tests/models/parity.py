"""How a model is held against another program's with the same weights: gradients, decoding from a state, names."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.models.contract import LanguageModel
from lilliput.models.weights import tensors

Names = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def logits(model: LanguageModel, tokens: Tensor, **rest) -> Tensor:
    return model.head(model(tokens, **rest).features)


def assert_gradients_equal(
    theirs: nn.Module, ours: LanguageModel, to_hub: Names, tokens: Tensor, targets: Tensor, *, relative: float
) -> None:
    """Of the cross-entropy, for every parameter; within `relative` of a gradient's largest entry."""
    for model, output in ((theirs, theirs(tokens).logits), (ours, logits(ours, tokens))):
        model.zero_grad()
        F.cross_entropy(output.flatten(0, 1), targets.flatten()).backward()
    found = to_hub({name: p.grad for name, p in ours.named_parameters()})
    # a shared expert stands there with weights of zero, and has no counterpart
    expected = {name: p.grad for name, p in theirs.named_parameters() if "shared_expert" not in name}
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        allowed = relative * gradient.abs().max().item()
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=allowed, msg=name)


@torch.no_grad()
def decoded(model: LanguageModel, tokens: Tensor, parts: Sequence[int]) -> Tensor:
    """Logits of tokens (B, T), read in parts of so many tokens from one state."""
    state = model.new_state(batch=len(tokens), length=tokens.shape[1])
    return torch.cat([logits(model, part, state=state) for part in tokens.split(list(parts), dim=1)], dim=1)


def assert_inverse(ours: LanguageModel, to_hub: Names, from_hub: Names) -> None:
    stored = dict(tensors(ours))
    returned = from_hub(to_hub(stored))
    assert returned.keys() == stored.keys()
    assert all(torch.equal(returned[name], tensor) for name, tensor in stored.items())
