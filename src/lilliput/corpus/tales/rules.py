"""The grammar's notation: sentences with words to draw, words already known, verbs to conjugate and further rules."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from lilliput.corpus.tales.grammar import RULES
from lilliput.corpus.tales.inflection import BE, Inflected, lexicon, verb

PAST, PRESENT = 0, 1

PART = re.compile(
    r"<(?P<kind>\w+)(?:\.(?P<form>\w+))?(?:=(?P<name>\w+))?>"  # <thing.a=t>: draw "a kite", call it t; <Thing>: "Kite"
    r"|@(?P<rule>\w+)"  # @search: what the rule search says
    r"|\{(?P<known>\w+)(?:\.(?P<known_form>[\w^]+))?\}"  # {t.s}: the plural of t; {t.^}: with a capital
    r"|\[(?P<verb>\w+)(?P<plural>\+?)\]"  # [look]: looked or looks, [look+]: looked or look, as the tale is told
)


@dataclass(frozen=True)
class Odds:
    """Whole-number weights of a choice; `cumulative[i]` is the sum of the first i + 1."""

    weights: tuple[int, ...]
    cumulative: tuple[int, ...]

    @classmethod
    def of(cls, weights: tuple[int, ...]) -> "Odds":
        return cls(weights, tuple(accumulate(weights)))


@dataclass(frozen=True, slots=True)
class Known:
    """A word that the tale has drawn before."""

    name: str
    form: str


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that leaves no choice, in past and present."""

    tenses: tuple[tuple[str | Known, ...], tuple[str | Known, ...]]

    def render(self, tense: int, bound: Mapping[str, Inflected]) -> str:
        return "".join([p if isinstance(p, str) else bound[p.name][p.form] for p in self.tenses[tense]])


@dataclass(frozen=True, slots=True)
class Draw:
    """A word to choose, the form it is written in, and the name it is known by afterwards ("" for none)."""

    kind: str
    form: str
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Another rule's text, in this place."""

    name: str


Part = Literal | Draw | Rule


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to say a rule; `head` is all that is known of it when it is chosen."""

    head: Literal
    parts: tuple[Part, ...]
    present: bool
    """True where it sets the tale in the present tense."""


@cache
def rule(name: str) -> tuple[tuple[Alternative, ...], Odds]:
    """The alternatives of a rule, one a line: an optional weight and `|`, an optional `!` for the present, the text."""
    alternatives, weights = [], []
    for line in filter(None, map(str.strip, RULES[name].splitlines())):
        weight, bar, text = line.rpartition("|")
        weights.append(int(weight) if bar else 1)
        alternatives.append(_alternative(text.strip()))
    return tuple(alternatives), Odds.of(tuple(weights))


@cache
def words(kind: str) -> tuple[tuple[Inflected, ...], Odds]:
    """The words of a kind, the common ones first, with odds that fall as 1 / (rank + half the list)."""
    found = lexicon(kind)
    shift = len(found) // 2 + 1
    return found, Odds.of(tuple(1_000_000 // (rank + shift) for rank in range(len(found))))


def _alternative(text: str) -> Alternative:
    match tuple(_parts(text.removeprefix("!").replace("\\n", "\n"))):
        case (Literal() as head, *parts):
            pass
        case parts:
            head = Literal(((), ()))
    return Alternative(head, tuple(parts), text.startswith("!"))


def _parts(text: str) -> Iterator[Part]:
    past: list[str | Known] = []
    present: list[str | Known] = []
    at = 0
    for match in PART.finditer(text):
        for tense in (past, present):
            tense.extend(filter(None, [text[at : match.start()]]))
        at = match.end()
        if match["known"]:
            known = Known(match["known"], match["known_form"] or "")
            past.append(known)
            present.append(known)
        elif match["verb"]:
            then, now = _conjugate(match["verb"], plural=bool(match["plural"]))
            past.append(then)
            present.append(now)
        else:
            if past:
                yield Literal((tuple(past), tuple(present)))
                past, present = [], []
            yield Rule(match["rule"]) if match["rule"] else _draw(match)
    for tense in (past, present):
        tense.extend(filter(None, [text[at:]]))
    if past:
        yield Literal((tuple(past), tuple(present)))


def _draw(match: re.Match[str]) -> Draw:
    kind, form, name = match.group("kind", "form", "name")
    return Draw(kind.lower(), "^" * kind[0].isupper() + (form or ""), name or "")


def _conjugate(base: str, *, plural: bool) -> tuple[str, str]:
    if base == "be":
        return BE[plural]
    forms = verb(base)
    return forms["ed"], base if plural else forms["s"]
