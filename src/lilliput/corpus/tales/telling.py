"""One walk over the grammar: it writes a tale from draws, or reads a tale back into the choices that made it."""

import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import Protocol

from lilliput.corpus.tales.inflection import Inflected
from lilliput.corpus.tales.rules import PAST, PRESENT, Alternative, Draw, Literal, Odds, Rule, rule, words

WORD = re.compile(r"(an? )?\w+")


class Options(Protocol):
    """What the options of a choice look like in the text; only one of them fits a text (`fits`)."""

    def surface(self, option: int) -> str:
        """The words of an option."""

    def near(self, text: str, at: int) -> Iterable[int]:
        """The options that may stand in `text` at `at`."""


class Voice(Protocol):
    """Who makes the choices: the writer by drawing, the reader by looking at the text."""

    def say(self, text: str) -> None:
        """Text that leaves no choice."""

    def choose(self, odds: Odds, used: Sequence[int], options: Options) -> int:
        """Say one of the options that are not in `used` (ascending), and return which."""


def draw(seed: int, story: int, number: int) -> int:
    """H(seed, story, number), 64 bits, the same for ever: it rests on no library's random stream."""
    return int.from_bytes(blake2b(f"{seed}:{story}:{number}".encode(), digest_size=8).digest(), "little")


@dataclass
class Writer:
    """Draws each choice."""

    seed: int
    story: int
    pieces: list[str] = field(default_factory=list)
    choices: list[int] = field(default_factory=list)
    nats: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def say(self, text: str) -> None:
        self.pieces.append(text)

    def choose(self, odds: Odds, used: Sequence[int], options: Options) -> int:
        point = draw(self.seed, self.story, len(self.choices)) * _left(odds, used) >> 64
        for u in used:  # step over what is used up
            if point >= odds.cumulative[u] - odds.weights[u]:
                point += odds.weights[u]
        option = bisect_right(odds.cumulative, point)
        self.choices.append(option)
        self.nats.append(_nats(odds, used, option))
        self.pieces.append(options.surface(option))
        return option


@dataclass
class Reader:
    """Finds each choice in a text. ValueError where the text is no tale."""

    text: str
    at: int = 0
    choices: list[int] = field(default_factory=list)
    nats: list[float] = field(default_factory=list)

    def say(self, text: str) -> None:
        if not self.text.startswith(text, self.at):
            raise ValueError(f"not a tale: {text!r} is missing at character {self.at}")
        self.at += len(text)

    def choose(self, odds: Odds, used: Sequence[int], options: Options) -> int:
        for option in options.near(self.text, self.at):
            if option not in used and fits(said := options.surface(option), self.text, self.at):
                self.choices.append(option)
                self.nats.append(_nats(odds, used, option))
                self.at += len(said)
                return option
        raise ValueError(f"not a tale: no choice reads {self.text[self.at : self.at + 20]!r} at character {self.at}")


def fits(surface: str, text: str, at: int = 0) -> bool:
    """True where `surface` stands in `text` and does not end inside a word."""
    stop = at + len(surface)
    return text.startswith(surface, at) and not (surface[-1:].isalnum() and text[stop : stop + 1].isalnum())


def write(seed: int, story: int) -> Writer:
    """The tale of this number: its text, its choices and the nats of each."""
    writer = Writer(seed, story)
    Telling(writer).rule("story")
    return writer


def read(text: str) -> Reader:
    """The choices that made a tale and the nats of each. ValueError if no tale reads like this."""
    reader = Reader(text)
    Telling(reader).rule("story")
    if reader.at != len(text):
        raise ValueError(f"not a tale: it goes on after its end, at character {reader.at}")
    return reader


def nats(text: str) -> float:
    """-log P of a tale, exact, its end included. ValueError if it is no tale."""
    return math.fsum(read(text).nats)


class Telling:
    """A walk over the grammar, and what it remembers: the tense, who is who, which words and sentences are used."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self.tense = PAST
        self.bound: dict[str, Inflected] = {}
        self.used: dict[str, list[int]] = {}

    def rule(self, name: str) -> None:
        alternatives, odds = rule(name)
        option = 0
        if len(alternatives) == 1:
            self.say(alternatives[0].head)
        else:
            option = self._choose(f"@{name}", odds, _Heads(self, alternatives))
        if alternatives[option].present:
            self.tense = PRESENT
        for part in alternatives[option].parts:
            match part:
                case Literal():
                    self.say(part)
                case Rule():
                    self.rule(part.name)
                case Draw():
                    self._word(part)

    def _word(self, part: Draw) -> None:
        listed, odds = words(part.kind)
        form = part.form if part.form != "t" else ("ed", "s")[self.tense]
        option = self._choose(part.kind, odds, _listed(part.kind, form))
        if part.name:
            self.bound[part.name] = listed[option]

    def _choose(self, name: str, odds: Odds, options: Options) -> int:
        """What was chosen before is not chosen again until everything was."""
        used = self.used.setdefault(name, [])
        if len(used) == len(odds.weights):
            used.clear()
        option = self.voice.choose(odds, used, options)
        used.append(option)
        used.sort()
        return option

    def say(self, literal: Literal) -> None:
        self.voice.say(self.render(literal))

    def render(self, literal: Literal) -> str:
        return literal.render(self.tense, self.bound)


@dataclass(frozen=True, slots=True)
class _Heads:
    """How the alternatives of a rule begin."""

    telling: Telling
    alternatives: Sequence[Alternative]

    def surface(self, option: int) -> str:
        return self.telling.render(self.alternatives[option].head)

    def near(self, text: str, at: int) -> Iterable[int]:
        return range(len(self.alternatives))


@dataclass(frozen=True, slots=True)
class _Listed:
    """The words of a kind in one form, found by how they begin."""

    surfaces: Sequence[str]
    begun: Mapping[str, Sequence[int]]

    def surface(self, option: int) -> str:
        return self.surfaces[option]

    def near(self, text: str, at: int) -> Iterable[int]:
        return self.begun.get(_begin(text, at), ())


@cache
def _listed(kind: str, form: str) -> _Listed:
    surfaces = [word[form] for word in words(kind)[0]]
    begun: dict[str, list[int]] = {}
    for option, surface in enumerate(surfaces):
        begun.setdefault(_begin(surface, 0), []).append(option)
    return _Listed(surfaces, begun)


def _begin(text: str, at: int) -> str:
    """The first word there, with its article, so that a reader looks at few options."""
    word = WORD.match(text, at)
    return word[0] if word else ""


def _left(odds: Odds, used: Sequence[int]) -> int:
    return odds.cumulative[-1] - sum([odds.weights[u] for u in used])


def _nats(odds: Odds, used: Sequence[int], option: int) -> float:
    return -math.log(odds.weights[option] / _left(odds, used))
