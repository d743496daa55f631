import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError

from lilliput.corpus.document import Document
from lilliput.corpus.split import FEW, SplitConfig, divide, expand_split

PARTS = ("train", "validation", "test")
TEXT = some.text(some.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
TEXTS = some.lists(TEXT, min_size=1, max_size=12)
SHARES = some.tuples(some.floats(0, 0.5), some.floats(0, 0.4))


def divided(texts, **split):
    documents = [Document(text, "source", f"file:{number}") for number, text in enumerate(texts)]
    config = SplitConfig(**split)
    return {part: [each.text for each in divide(lambda: iter(documents), config, part)] for part in PARTS}


@given(TEXTS, SHARES)
def test_the_tail_cuts_between_characters_and_loses_no_byte(texts, shares):
    parts = divided(texts, kind="tail", validation=shares[0], test=shares[1])
    assert "".join(text for part in PARTS for text in parts[part]) == "".join(texts)


@given(some.integers(30, 3000), SHARES)
def test_the_tail_of_ascii_has_the_asked_share(size, shares):
    parts = divided(["x" * size], kind="tail", validation=shares[0], test=shares[1])
    for part, share in zip(PARTS[1:], shares, strict=True):
        assert len("".join(parts[part])) == (max(1, round(size * share)) if share else 0)


@given(TEXTS, SHARES)
def test_hashed_parts_are_disjoint_and_cover_everything(texts, shares):
    parts = divided(texts, kind="hash", validation=shares[0], test=shares[1])
    assert sorted(text for part in PARTS for text in parts[part]) == sorted(texts)
    assert not set(parts["train"]) & set(parts["validation"])
    assert not (set(parts["train"]) | set(parts["validation"])) & set(parts["test"])


def test_a_few_documents_leave_no_part_empty_that_has_a_share():
    for count in range(3, 20):
        parts = divided([f"document {n} of {count}" for n in range(count)], kind="hash", validation=0.1, test=0.1)
        assert all(parts.values())


def test_hashed_parts_do_not_depend_on_the_order_and_have_the_asked_shares():
    texts = [f"document {n}" for n in range(4000)]
    parts = divided(texts, kind="hash", validation=0.1, test=0.05)
    assert 0.08 < len(parts["validation"]) / 4000 < 0.12
    assert 0.04 < len(parts["test"]) / 4000 < 0.06
    assert set(divided(texts[::-1], kind="hash", validation=0.1, test=0.05)["test"]) == set(parts["test"])


def test_more_documents_move_none_of_a_large_set():
    texts = [f"document {n}" for n in range(FEW + 300)]
    small = divided(texts[:FEW], kind="hash")["validation"]
    assert [text for text in divided(texts, kind="hash")["validation"] if text in set(texts[:FEW])] == small


def test_a_group_goes_to_one_part_in_a_set_of_any_size():
    split = SplitConfig(kind="hash", validation=0.5)
    for group in (1, 1 << 62, (1 << 63) + 1, (1 << 64) - 1):
        found = []
        for others in (0, 1, 7, FEW + 50):
            texts = [Document(f"other {number}", "source", str(number)) for number in range(others)]
            texts += [Document(f"near {number} of {group}", "source", "grouped", group=group) for number in range(3)]
            validation = divide(lambda texts=texts: iter(texts), split, "validation")
            found.append(sum(document.key == "grouped" for document in validation))
        assert found == [3 if group >= 1 << 63 else 0] * 4


def test_auto_cuts_one_document_at_its_tail_and_hashes_several():
    assert divided(["abcdefghij"]) == {"train": ["abcdefghi"], "validation": ["j"], "test": []}
    assert sorted(map(len, divided(["abc", "defg"]).values())) == [0, 1, 1]


def test_shares_that_leave_nothing_to_train_on_are_refused():
    for wrong in ({"validation": 0.5, "test": 0.5}, {"validation": 1.0}, {"test": -0.1}, {"kind": "random"}):
        with pytest.raises(ValidationError):
            SplitConfig(**wrong)


def test_a_bare_word_is_the_kind():
    assert expand_split("tail") == {"kind": "tail"}
    assert expand_split({"validation": 0.2}) == {"validation": 0.2}
