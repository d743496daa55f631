"""Generation: read the prompts once, then write token by token from what the model's own state remembers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lilliput.inference.sampling import SamplingConfig, choose, likeliest, penalise, uniform
from lilliput.inference.stopping import StopWatch
from lilliput.models.contract import LanguageModel
from lilliput.nn.packed import FEW, forget, packed
from lilliput.nn.state import State
from lilliput.tokens.text import TextStream
from lilliput.tokens.tokenizer import Tokenizer

# Shapes: B samples, T time, V vocabulary

Reason = Literal["end", "stop", "length"]
"""Why a sample ended: the model closed the text, a stop text appeared, or max_tokens were written."""


@dataclass(frozen=True)
class Piece:
    """New text of one sample, in whole UTF-8 characters; its last piece carries the reason why it ended."""

    prompt: int
    sample: int
    text: str
    ids: tuple[int, ...]
    """Tokens written since the piece before, the end token left out."""
    reason: Reason | None


@dataclass(frozen=True)
class Completion:
    """What was written after one prompt."""

    prompt: int
    sample: int
    text: str
    ids: tuple[int, ...]
    reason: Reason


def stream(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    config: SamplingConfig,
    *,
    samples: int = 1,
    batch_size: int = 16,
) -> Iterator[Piece]:
    """Pieces of `samples` texts after each prompt, as they are written, `batch_size` texts side by side.

    A text starts with `begin`. When it outgrows the model's positions, the older half of the window is let go and the
    rest is read again, so writing goes on; of an overlong prompt the tail is read (`unread` counts what is not).
    Neither global random state nor the model's training mode is changed for the caller.
    """
    texts = [[tokenizer.begin, *tokenizer.encode(prompt)] for prompt in prompts]
    rows = [_Row(i, j, ids, tokenizer, config) for i, ids in enumerate(texts) for j in range(samples)]
    was_training = model.training
    model.eval()
    try:
        for first in range(0, len(rows), batch_size):
            yield from _write(model, rows[first : first + batch_size], config)
    finally:
        model.train(was_training)
        if was_training:
            forget(model)


def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    config: SamplingConfig,
    *,
    samples: int = 1,
    batch_size: int = 16,
) -> list[Completion]:
    """`samples` whole texts after each prompt, in order; see `stream`."""
    pieces: dict[tuple[int, int], list[Piece]] = {}
    for piece in stream(model, tokenizer, prompts, config, samples=samples, batch_size=batch_size):
        pieces.setdefault((piece.prompt, piece.sample), []).append(piece)
    return [_joined(parts) for _, parts in sorted(pieces.items())]


def unread(model: LanguageModel, tokenizer: Tokenizer, prompt: str) -> int:
    """Tokens at the start of `prompt` that the model has no positions for."""
    return max(0, window_start(1 + len(tokenizer.encode(prompt)), model.config.max_positions) - 1)


def window_start(length: int, positions: int | None) -> int:
    """The first of `length` tokens that is still read: past the positions, the older half is let go at once."""
    if positions is None or length <= positions:
        return 0
    stride = max(1, positions // 2)
    return -(-(length - positions) // stride) * stride


class _Row:
    """One text while it is written."""

    def __init__(
        self, prompt: int, sample: int, ids: Sequence[int], tokenizer: Tokenizer, config: SamplingConfig
    ) -> None:
        self.prompt, self.sample, self.ids = prompt, sample, list(ids)
        self.tokenizer, self.config = tokenizer, config
        self.reason: Reason | None = None
        self.written = 0
        self._characters, self._watch = TextStream(tokenizer), StopWatch(config.stop)
        self._new: list[int] = []

    def take(self, token: int) -> Piece | None:
        """Append a token; the piece it makes ready, if any."""
        if token == self.tokenizer.end:
            return self._close("", "end")
        self.ids.append(token)
        self._new.append(token)
        self.written += 1
        text = self._watch.push(self._characters.push(token))
        if self._watch.stopped or self.written == self.config.max_tokens:
            return self._close(text, "length")
        return self._piece(text, None) if text else None

    def _close(self, text: str, reason: Reason) -> Piece:
        text += self._watch.push(self._characters.flush()) + self._watch.finish()
        return self._piece(text, "stop" if self._watch.stopped else reason)

    def _piece(self, text: str, reason: Reason | None) -> Piece:
        self.reason, ids, self._new = reason, tuple(self._new), []
        return Piece(self.prompt, self.sample, text, ids, reason)


class _Reading:
    """What the model has read of some rows, and its state; rows of unequal length are padded on the left."""

    def __init__(self, model: LanguageModel, rows: Sequence[_Row]) -> None:
        self.model, self.packed, self.rows = model, packed(model), rows
        self.device = next(model.parameters()).device
        self.positions: int | None = model.config.max_positions
        windows = [row.ids[window_start(len(row.ids), self.positions) :] for row in rows]
        self.columns = max(map(len, windows))
        left = max(row.config.max_tokens - row.written for row in rows)
        capacity = self.columns + left if self.positions is None else min(self.columns + left, self.positions)
        self.state: State = model.new_state(len(rows), capacity)
        padding = [self.columns - len(window) for window in windows]
        tokens = [[0] * pad + window for pad, window in zip(padding, windows, strict=True)]
        documents = [[-1] * pad + [0] * (self.columns - pad) for pad in padding]
        self.logits = self._read(tokens, documents if any(padding) else None)  # (B, V)

    def is_worn(self) -> bool:
        """Whether the positions are used up, or at least half of the rows have ended: time to read anew."""
        ended = sum(row.reason is not None for row in self.rows)
        return self.columns == self.positions or 2 * ended >= len(self.rows)

    def advance(self) -> None:
        """Read each row's newest token; what an ended row would say is nobody's concern."""
        self.columns += 1
        self.logits = self._read([[row.ids[-1]] for row in self.rows])

    @torch.inference_mode()
    def _read(self, tokens: list[list[int]], documents: list[list[int]] | None = None) -> Tensor:
        apart = None if documents is None else torch.tensor(documents, device=self.device)
        ids = torch.tensor(tokens, device=self.device)
        writer = self.packed if len(ids) <= FEW else self.model
        # a prompt of one text would have the weights copied in the order for several
        reader = writer if ids.shape[1] == 1 else self.model
        output = reader(ids, documents=apart, state=self.state)
        logits: Tensor = writer.head(output.features[:, -1])
        return logits


def _write(model: LanguageModel, rows: Sequence[_Row], config: SamplingConfig) -> Iterator[Piece]:
    reading = _Reading(model, rows)
    while True:
        for row, token in zip(reading.rows, _next_tokens(reading, config), strict=True):
            if row.reason is None and (piece := row.take(token)):
                yield piece
        going = [row for row in reading.rows if row.reason is None]
        if not going:
            return
        if reading.is_worn():
            reading = _Reading(model, going)
        else:
            reading.advance()


@torch.inference_mode()
def _next_tokens(reading: _Reading, config: SamplingConfig) -> list[int]:
    logits, rows = reading.logits, reading.rows
    tokenizer = rows[0].tokenizer
    if tokenizer.begin != tokenizer.end:
        logits[:, tokenizer.begin] = float("-inf")  # never a target in training, so its logit means nothing
    if config.repetition_penalty != 1:
        seen = torch.zeros(logits.shape, dtype=torch.bool)
        for i, row in enumerate(rows):
            seen[i, row.ids[1:]] = True  # not begin: where it is end too, texts would go on for ever
        logits = penalise(logits, seen.to(logits.device), config.repetition_penalty)
    if config.is_greedy:
        return likeliest(logits).tolist()
    uniforms = torch.tensor([uniform(config.seed, row.sample, row.written) for row in rows], dtype=torch.float64)
    return choose(logits, config, uniforms).tolist()


def _joined(pieces: Sequence[Piece]) -> Completion:
    last = pieces[-1]
    assert last.reason is not None
    ids = tuple(token for piece in pieces for token in piece.ids)
    return Completion(last.prompt, last.sample, "".join(piece.text for piece in pieces), ids, last.reason)
