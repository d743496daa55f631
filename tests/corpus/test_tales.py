"""Tales: what is written can be read back, choice for choice, and what a tale costs is known exactly."""

import math
import re
from collections import Counter
from itertools import permutations

import pytest

from lilliput.corpus.document import Document
from lilliput.corpus.ngrams import KneserNey
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.tales import TalesSource
from lilliput.corpus.split import SplitConfig, divide
from lilliput.corpus.tales import inflection, telling, words
from lilliput.corpus.tales.rules import Odds
from lilliput.corpus.tales.telling import Telling, Writer, fits, read, write


def documents(**options):
    return list(TalesSource(**options).documents(Reader(Reading())))


def test_a_tale_is_read_back_choice_for_choice_and_costs_what_was_paid_while_writing():
    for seed in range(3):
        for story in range(100):
            tale = write(seed, story)
            found = read(tale.text)
            assert found.choices == tale.choices
            assert math.fsum(found.nats) == pytest.approx(math.fsum(tale.nats), abs=1e-9)
            assert TalesSource().nats(tale.text) == math.fsum(tale.nats)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text + " ",
        lambda text: text + "\n\n" + text,
        lambda text: text[:-1],
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(".", "!", 1),
        lambda text: "It was a dark and stormy night.",
        lambda text: re.sub(r"child called \w+", "child called Gandalf", text),
    ],
)
def test_what_is_no_tale_is_refused(spoil):
    for story in range(10):
        with pytest.raises(ValueError, match="not a tale"):
            TalesSource().nats(spoil(write(1, story).text))


class Doubter(Writer):
    """A writer that fails where a reader could take one option for another."""

    def choose(self, odds, used, options):
        if isinstance(options, telling._Heads):
            said = [options.surface(option) for option in range(len(odds.weights)) if option not in used]
            assert not [(a, b) for a, b in permutations(said, 2) if fits(a, b)]
        return super().choose(odds, used, options)


def test_no_sentence_begins_like_another_of_its_rule():
    for story in range(200):
        Telling(Doubter(5, story)).rule("story")


def test_no_word_of_a_kind_begins_like_another_in_any_form():
    pronouns = {"he", "him", "his", "He", "His", "child"}
    for kind in words.KINDS:
        listed = inflection.lexicon(kind)
        for form in set(listed[0]) - pronouns - {f"^{p}" for p in pronouns}:
            said = {word[form] for word in listed}
            assert len(said) == len(listed), (kind, form)
            for longer in said:
                ends = [match.start() for match in re.finditer(r"\b", longer)][1:]
                assert not said & {longer[:end] for end in ends if end < len(longer)}, (kind, longer)


def test_what_is_used_up_is_never_drawn_and_the_rest_keeps_its_odds():
    odds, used = Odds.of((5, 1, 3, 2, 4)), [1, 2]
    drawn: Counter[int] = Counter()
    for story in range(4000):
        writer = Writer(0, story)
        drawn[writer.choose(odds, used, telling._listed("where", ""))] += 1
        assert math.exp(-writer.nats[0]) == pytest.approx(odds.weights[writer.choices[0]] / 11)
    assert set(drawn) == {0, 3, 4}
    for option, times in drawn.items():
        assert times / 4000 == pytest.approx(odds.weights[option] / 11, abs=0.03)


def test_a_seed_and_a_number_give_one_tale():
    assert write(2, 7).text == write(2, 7).text
    assert len({write(seed, story).text for seed in range(4) for story in range(50)}) == 200


def test_the_entropy_is_low_and_short_contexts_do_not_reach_it():
    tales = [document.text for document in documents(seed=3, size=1_000_000)]
    nats, size = TalesSource().entropy(tales[-100:])
    entropy = nats / math.log(2) / size
    assert size == sum(len(text.encode()) for text in tales[-100:])
    assert 0.4 <= entropy <= 1.0
    model = KneserNey.fit((text.encode() for text in tales[:-100]), order=5)
    assert model.score(text.encode() for text in tales[-100:]).bits_per_byte >= 1.3 * entropy


def test_two_thousand_forms_of_words_occur_beside_numbers_and_coined_words():
    coined = set(words.COINED.split())
    seen = {word for d in documents(size=2_000_000) for word in re.findall("[a-z]+", d.text.lower())}
    assert len(seen - coined) >= 2000


def test_the_last_paragraph_still_knows_the_hero_or_the_town_of_the_first():
    for story in range(100):
        text = write(4, story).text
        town = re.search(r"(?:in|of|In|from) ([A-Z]\w+)", text)
        hero = re.search(r"child called (\w+)", text)
        last = text.rpartition("\n\n")[2]
        assert hero[1] in last or town[1] in last


def test_a_tale_keeps_its_tense():
    past, present = (re.compile(rf"\b(?:he|she|it) (?:{verbs})\b") for verbs in ("was|had|went", "is|has|goes"))
    tenses = Counter()
    for story in range(300):
        told = re.sub(r'"[^"]*"', "", write(6, story).text)
        now = "there lives" in told
        assert not (past if now else present).search(told)
        tenses[now] += 1
    assert tenses[True] > 20 and tenses[False] > 20


def test_a_larger_size_goes_on_where_a_smaller_ends():
    small, large = documents(size=5_000), documents(size=20_000)
    assert large[: len(small)] == small
    total = sum(len(document.text.encode()) for document in small)
    assert 5_000 <= total < 5_000 + len(small[-1].text) + 1
    assert [document.key for document in small[:2]] == ["tales:0:0", "tales:0:1"]
    assert all(document.text.isascii() for document in large)


def test_no_text_of_tales_occurs_in_two_parts():
    tales = documents(size=300_000)
    twice = [*tales, *(Document(d.text, d.source, f"again:{d.key}") for d in tales)]
    split = SplitConfig(kind="hash", validation=0.2, test=0.2)
    parts = [{d.text for d in divide(lambda: iter(twice), split, part)} for part in ("train", "validation", "test")]
    assert all(parts) and sum(map(len, parts)) == len(set.union(*parts)) == len({d.text for d in tales})


def test_the_fingerprint_changes_with_the_seed_and_not_with_the_weight():
    plain = TalesSource().fingerprint()
    assert TalesSource(weight=2.0).fingerprint() == plain
    assert TalesSource(seed=1).fingerprint() != plain != TalesSource(size=5).fingerprint()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (inflection.plural("fishing rod"), "fishing rods"),
        (inflection.plural("pony"), "ponies"),
        (inflection.plural("key"), "keys"),
        (inflection.plural("bench"), "benches"),
        (inflection.plural("mouse"), "mice"),
        (inflection.article("umbrella"), "an umbrella"),
        (inflection.article("unicycle"), "a unicycle"),
        (inflection.article("hourglass"), "an hourglass"),
        (inflection.article("honey pot"), "a honey pot"),
        (inflection.article("honest"), "an honest"),
        (inflection.verb("hop"), {"": "hop", "s": "hops", "ed": "hopped", "ing": "hopping"}),
        (inflection.verb("carry"), {"": "carry", "s": "carries", "ed": "carried", "ing": "carrying"}),
        (inflection.verb("dance"), {"": "dance", "s": "dances", "ed": "danced", "ing": "dancing"}),
        (inflection.verb("go"), {"": "go", "s": "goes", "ed": "went", "ing": "going"}),
        (inflection.verb("lie"), {"": "lie", "s": "lies", "ed": "lay", "ing": "lying"}),
        (inflection.verb("answer"), {"": "answer", "s": "answers", "ed": "answered", "ing": "answering"}),
    ],
)
def test_words_are_inflected_as_english_does(found, expected):
    assert found == expected
