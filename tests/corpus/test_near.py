"""Near-duplicates against Jaccard similarities computed with Python's sets."""

import random
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from bench.duplicates import documents, quality, true_pairs

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import near as module
from lilliput.corpus.near import SURE, Near, Sketch, bands, clusters, sketch

NEAR = Near()


def drawn(count: int, seed: int = 0, share: float = 0.3, changed: float = 0.01) -> list[str]:
    """Texts of drawn words, a share of which repeat an earlier one with a few words changed."""
    draw, texts = random.Random(seed), list[str]()
    for _ in range(count):
        if texts and draw.random() < share:
            words = draw.choice(texts).split()
            for place in draw.sample(range(len(words)), max(1, round(changed * len(words)))):
                words[place] = f"w{draw.randrange(20_000)}"
            texts.append(" ".join(words))
        else:
            texts.append(" ".join(f"w{draw.randrange(20_000)}" for _ in range(draw.randint(60, 200))))
    return texts


def runs(text: str, length: int = 5) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[at : at + length]) for at in range(max(1, len(words) - length + 1))}


def jaccard(one: str, other: str) -> float:
    return similar(runs(one), runs(other))


def similar(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def components(texts: list[str], threshold: float) -> list[int]:
    """The lowest place of what hangs together, by looking at every pair."""
    places, sets = list(range(len(texts))), [runs(text) for text in texts]
    for one, other in combinations(range(len(texts)), 2):
        if similar(sets[one], sets[other]) >= threshold:
            low, high = sorted((places[one], places[other]))
            places = [low if place == high else place for place in places]
    return places


def in_turn(share: Callable[[list[str]], Sketch], work: Iterable[list[str]], *, workers: int) -> Iterable[Sketch]:
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(share, work)


@pytest.mark.parametrize("changed", [0.01, 0.02])
def test_clusters_are_those_of_every_pairs_true_similarity(changed: float):
    texts = drawn(300, changed=changed)
    found = clusters(texts, NEAR).firsts.tolist()
    assert found == components(texts, NEAR.threshold)
    assert 0 < sum(place != number for number, place in enumerate(found)) < 150


def test_the_first_of_a_cluster_is_its_place_and_a_text_alone_is_its_own():
    one, other = drawn(2, share=0)
    found = clusters([other, one, one + " tail", other.upper(), "short", "", ""], NEAR)
    assert found.firsts.tolist() == found.twins.tolist() == [0, 1, 1, 0, 4, 5, 6]


def test_what_hangs_together_by_a_chain_is_one_cluster():
    words = [f"w{number}" for number in range(400)]
    chain = [" ".join(words[start : start + 200]) for start in (40, 0, 20, 0)]
    assert jaccard(chain[0], chain[1]) < 0.8 <= jaccard(chain[0], chain[2])
    found = clusters(chain, NEAR)
    assert found.firsts.tolist() == [0, 0, 0, 0]
    assert found.twins.tolist() == [0, 1, 0, 1], "the second is far from the first, and stays"


@pytest.mark.parametrize("remembered", [1, 1 << 20])
def test_what_goes_is_near_to_an_earlier_text_that_stays_and_no_two_that_stay_are_near(
    remembered: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "REMEMBERED", remembered)
    texts = drawn(300, seed=6, share=0.5, changed=0.015)
    found = clusters(texts, NEAR)
    twins = found.twins.tolist()
    gone = [place for place, twin in enumerate(twins) if twin != place]
    stay = [place for place, twin in enumerate(twins) if twin == place]
    assert all(twins[place] in stay and jaccard(texts[place], texts[twins[place]]) >= 0.8 for place in gone)
    sets = {place: runs(texts[place]) for place in stay}
    assert not [1 for one, other in combinations(stay, 2) if similar(sets[one], sets[other]) >= 0.8]
    assert len(gone) > 80
    assert sum(found.firsts != np.arange(300)) > len(gone), "there are chains"


def test_texts_shorter_than_a_run_are_near_only_where_they_are_equal():
    assert clusters(["a b", "a b c", "A, b!", "...", "?"], NEAR).firsts.tolist() == [0, 1, 0, 3, 4]


def test_the_threshold_is_the_exact_similarity():
    words = [f"w{number}" for number in range(14)]
    pair = [" ".join(words), " ".join([*words[:12], "x", "y"])]
    assert jaccard(*pair) == 8 / 12
    assert clusters(pair, Near(threshold=8 / 12, hashes=512)).firsts.tolist() == [0, 0]
    assert clusters(pair, Near(threshold=8 / 12 + 1e-9, hashes=512)).firsts.tolist() == [0, 1]


def test_the_clusters_do_not_depend_on_how_the_work_is_shared(monkeypatch: pytest.MonkeyPatch):
    texts = drawn(400, seed=1)
    alone = clusters(texts, NEAR).firsts.tolist()
    for workers, block in ((1, 500), (2, 3000), (3, 20_000)):
        monkeypatch.setattr("lilliput.corpus.words.BLOCK", block)
        assert clusters(texts, NEAR, each=partial(in_turn, workers=workers)).firsts.tolist() == alone


def test_a_sketch_is_the_same_in_any_block():
    texts = drawn(20)
    together = sketch(NEAR, texts)
    for number, text in enumerate(texts):
        assert sketch(NEAR, [text]).bands.tolist() == together.bands[number : number + 1].tolist()


def test_nearly_all_pairs_above_the_threshold_are_found():
    draw, lost, total = random.Random(3), 0, 0
    for seed in range(12):
        texts = drawn(60, seed=seed, share=0)
        for number in range(60):
            words = texts[number].split()
            for place in draw.sample(range(len(words)), max(1, len(words) // 60)):
                words[place] = f"v{draw.randrange(10**6)}"
            texts.append(" ".join(words))
        found = clusters(texts, NEAR).firsts
        pairs = [n for n in range(60) if jaccard(texts[n], texts[n + 60]) >= 0.8]
        total += len(pairs)
        lost += sum(found[n] != found[n + 60] for n in pairs)
    assert total > 300
    assert lost / total <= 0.02


@pytest.mark.slow
def test_of_twenty_thousand_documents_nearly_every_true_pair_is_found_and_nothing_else(sample_data: Path):
    texts = documents(20_000, sample_data)
    found = quality(clusters(texts, NEAR).twins, *true_pairs(texts))
    assert found.pairs > 3000
    assert found.recall >= 0.95
    assert found.precision >= 0.98


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("hashes", [32, 128, 256])
def test_bands_give_a_pair_at_the_threshold_its_chance_within_the_signature(threshold: float, hashes: int):
    number, rows = bands(Near(threshold=threshold, hashes=hashes))
    assert number * rows <= hashes
    assert 1 - (1 - threshold**rows) ** number >= SURE or rows == 1


def test_pairs_looked_at_grow_with_the_documents_even_where_all_share_a_bucket(monkeypatch: pytest.MonkeyPatch):
    looked: list[int] = []

    def proposed(*given: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for one, other in original(*given):
            looked.append(len(one))
            yield one, other

    original = module._proposed
    monkeypatch.setattr(module, "_proposed", proposed)
    head = " ".join(f"w{number}" for number in range(100))
    alike = [f"{head} {' '.join(f'x{n}y{k}' for k in range(60))}" for n in range(300)]  # 0.43 similar, each to each
    assert clusters(alike, Near(threshold=0.5, hashes=64)).firsts.tolist() == list(range(300))
    assert 0 < sum(looked) <= 300 * module.NEIGHBOURS * bands(Near(threshold=0.5, hashes=64))[0]


def test_without_its_package_near_is_refused_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch):
    module._rensa.cache_clear()
    monkeypatch.setitem(sys.modules, "rensa", None)
    with pytest.raises(LilliputError) as refused:
        clusters(["a text"], NEAR)
    module._rensa.cache_clear()
    assert refused.value.code == Exit.UNAVAILABLE
    assert "lilliput[data]" in refused.value.action
