"""What decoding remembers between steps: keys and values, and the document and position of each token held."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lilliput.nn.rope import Rotation

# Shapes: B batch, K key/value heads, L slots, T new tokens, E head dim


class State:
    """A family's own memory; see each family for what it holds."""

    def select(self, rows: Tensor) -> "State":
        """A state of its own for the rows (N,) given by index; a row may be taken more than once."""
        raise NotImplementedError


class KVCache(State):
    """Preallocated keys and values (B, K, L, E) of each layer, filled in place.

    A layer with a window of W tokens holds the newest W in a ring: token t stands in slot t mod W. All rows fill the
    same slots: prompts of unequal length are padded on the left with documents -1.
    """

    def __init__(
        self, windows: Sequence[int | None], batch: int, length: int, device: torch.device | str = "cpu"
    ) -> None:
        self.windows, self.batch, self.capacity, self.length = tuple(windows), batch, length, 0
        self.documents = torch.zeros(batch, length, dtype=torch.int32, device=device)  # (B, L)
        self.positions = torch.zeros(batch, length, dtype=torch.int64, device=device)  # (B, L)
        self.uniform = True
        """No row holds padding or a second document: each token sees all before it."""
        self.newest: dict[int, Tensor] = {}
        """The last token (B, 1, D) of what is remembered of one token only, by place."""
        self.turns: Rotation | None = None
        """Of each slot's position, where the model turns queries and keys."""
        self._held: list[tuple[Tensor, Tensor] | None] = [None] * len(self.windows)

    def note(self, documents: Tensor, positions: Tensor) -> None:
        """Remember where the next T tokens (B, T) or (T,) stand; their slots count from now on."""
        end = self.length + positions.shape[-1]
        if end > self.capacity:
            raise IndexError(f"the state has {self.capacity} slots, and {end} tokens were given")
        self.documents[:, self.length : end] = documents
        self.positions[:, self.length : end] = positions
        self.length = end

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store the newest keys and values (B, K, T, E) of a layer; those they may see come back, (B, K, S, E).

        These are all of them; in a layer with a window the newest T + W in order, or, for one token, its ring as it is.
        """
        held = self._held[layer]
        if held is None:
            held = self._held[layer] = (self._empty(layer, keys), self._empty(layer, values))
        start = self.length - keys.shape[-2]  # the slots are counted already
        return _extend(held[0], keys, start), _extend(held[1], values, start)

    def _empty(self, layer: int, like: Tensor) -> Tensor:
        slots = min(self.windows[layer] or self.capacity, self.capacity)
        return like.new_zeros(*like.shape[:2], slots, like.shape[-1])

    def select(self, rows: Tensor) -> "KVCache":
        chosen = KVCache(self.windows, len(rows), 0)
        chosen.capacity, chosen.length, chosen.uniform = self.capacity, self.length, self.uniform
        chosen.documents, chosen.positions = self.documents[rows], self.positions[rows]
        chosen.newest = {place: x[rows] for place, x in self.newest.items()}
        chosen._held = [None if held is None else (held[0][rows], held[1][rows]) for held in self._held]
        return chosen


def _extend(held: Tensor, new: Tensor, start: int) -> Tensor:
    """Put tokens from `start` on, (B, K, T, E), into slots (B, K, L, E); what the new ones may see comes back."""
    slots, time, new = held.shape[2], new.shape[2], new.detach() if new.requires_grad else new
    end = start + time
    if end <= slots:
        held.narrow(2, start, time).copy_(new)
        return held.narrow(2, 0, end)
    new = new.to(held.dtype)
    if time == 1:
        held[:, :, start % slots] = new[:, :, 0]
        return held
    oldest = start % slots if start > slots else 0
    seen = torch.cat([held[:, :, oldest : min(start, slots)], held[:, :, :oldest], new], dim=2)
    places = torch.arange(max(start, end - slots), end, device=held.device) % slots
    held[:, :, places] = new[:, :, -len(places) :]
    return seen
