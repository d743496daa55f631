from lilliput.tokens.bytes import ByteTokenizer
from lilliput.tokens.report import report


def test_a_report_counts_what_a_text_becomes():
    found = report(ByteTokenizer(), ["one two", "", "é"])
    assert (found.documents, found.bytes, found.words, found.tokens) == (3, 9, 3, 9)
    assert found.used == len(set(b"one two")) + 2
    assert found.bytes_per_token == 1.0
    assert found.tokens_per_word == 3.0
    assert found.changed == 0


def test_texts_that_do_not_come_back_are_counted():
    class Lower(ByteTokenizer):
        def encode_many(self, texts):
            return super().encode_many([text.lower() for text in texts])

    assert report(Lower(), ["Aa", "aa"] * 300).changed == 300


def test_no_text_has_no_rates_to_divide_by():
    assert report(ByteTokenizer(), []).bytes_per_token == 0
