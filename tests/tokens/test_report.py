from lilliput.tokens.bytes import ByteTokenizer
from lilliput.tokens.report import reports


class Halves(ByteTokenizer):
    """Two bytes to a token, in small letters only."""

    def encode_many(self, texts):
        return super().encode_many([text.lower()[::2] for text in texts])


def report(tokenizer, texts):
    return reports({"one": tokenizer}, [(["all"], text) for text in texts])["all"]["one"]


def test_a_report_counts_what_a_text_becomes():
    found = report(ByteTokenizer(), ["one two", "", "é"])
    assert (found.documents, found.bytes, found.characters, found.words, found.tokens) == (3, 9, 8, 3, 9)
    assert found.used == len(set(b"one two")) + 2
    assert found.bytes_per_token == 1.0
    assert found.tokens_per_word == 3.0
    assert found.changed == 0


def test_texts_that_do_not_come_back_are_counted():
    class Lower(ByteTokenizer):
        def encode_many(self, texts):
            return super().encode_many([text.lower() for text in texts])

    assert report(Lower(), ["Aa", "aa"] * 300).changed == 300


def test_no_text_has_no_report():
    assert reports({"one": ByteTokenizer()}, []) == {}


def test_several_tokenizers_are_counted_side_by_side_in_every_group_of_a_text():
    texts = [(["all", "en"], "ab cd"), (["all", "de"], "xy"), (["all", "en"], "z")]
    found = reports({"bytes": ByteTokenizer(), "halves": Halves()}, iter(texts))
    assert list(found) == ["all", "en", "de"]
    assert {group: {name: one.tokens for name, one in both.items()} for group, both in found.items()} == {
        "all": {"bytes": 8, "halves": 5},
        "en": {"bytes": 6, "halves": 4},
        "de": {"bytes": 2, "halves": 1},
    }
    assert found["all"]["halves"].record()["bytes_per_token"] == 8 / 5
