"""What decoding remembers between steps: keys and values, and the document and position of each token held."""

import torch
from torch import Tensor

# Shapes: B batch, K key/value heads, L slots, T new tokens, E head dim


class State:
    """A family's own memory; see each family for what it holds."""


class KVCache(State):
    """Preallocated keys and values (B, K, L, E) of each layer, filled in place.

    All rows fill the same slots: prompts of unequal length are padded on the left with documents -1.
    """

    def __init__(self, layers: int, batch: int, length: int, device: torch.device | str = "cpu") -> None:
        self.batch, self.capacity, self.length = batch, length, 0
        self.documents = torch.zeros(batch, length, dtype=torch.int32, device=device)  # (B, L)
        self.positions = torch.zeros(batch, length, dtype=torch.int64, device=device)  # (B, L)
        self.uniform = True
        """No row holds padding or a second document: each token sees all before it."""
        self._keys: list[Tensor | None] = [None] * layers
        self._values: list[Tensor | None] = [None] * layers

    def note(self, documents: Tensor, positions: Tensor) -> None:
        """Remember where the next T tokens (B, T) or (T,) stand; their slots count from now on."""
        end = self.length + positions.shape[-1]
        if end > self.capacity:
            raise IndexError(f"the state has {self.capacity} slots, and {end} tokens were given")
        self.documents[:, self.length : end] = documents
        self.positions[:, self.length : end] = positions
        self.length = end

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store the newest keys and values (B, K, T, E) of a layer; all held (B, K, length, E) come back."""
        held_keys, held_values = self._keys[layer], self._values[layer]
        if held_keys is None or held_values is None:
            shape = (*keys.shape[:2], self.capacity, keys.shape[-1])
            held_keys, held_values = keys.new_zeros(shape), values.new_zeros(shape)
            self._keys[layer], self._values[layer] = held_keys, held_values
        start = self.length - keys.shape[-2]  # the slots are counted already
        held_keys[:, :, start : self.length] = keys.detach()
        held_values[:, :, start : self.length] = values.detach()
        return held_keys[:, :, : self.length], held_values[:, :, : self.length]

    def select(self, rows: Tensor) -> "KVCache":
        """A state of its own for the rows (N,) given by index; a row may be taken more than once."""
        chosen = KVCache(0, len(rows), self.capacity)
        chosen.length, chosen.uniform = self.length, self.uniform
        chosen.documents, chosen.positions = self.documents[rows], self.positions[rows]
        chosen._keys = [None if held is None else held[rows] for held in self._keys]
        chosen._values = [None if held is None else held[rows] for held in self._values]
        return chosen
