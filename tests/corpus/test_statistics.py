from lilliput.corpus.reading import Reading
from lilliput.corpus.sources.jsonl import JsonlSource
from lilliput.corpus.sources.text import TextSource
from lilliput.corpus.split import SplitConfig
from lilliput.corpus.statistics import measure, quantiles


def test_bytes_characters_words_and_tokens_are_counted_over_whole_documents(tmp_path):
    (tmp_path / "a.txt").write_text("zwei Bären\n")
    found = measure(TextSource(path=str(tmp_path / "a.txt")), SplitConfig(), Reading(), encode=list)
    total = found.total
    assert (total.documents, total.bytes, total.characters, total.words, total.tokens) == (1, 12, 11, 2, 11)
    assert {part: counts.bytes for part, counts in found.parts.items()} == {"train": 11, "validation": 1}


def test_parts_limits_and_what_was_left_out_are_those_of_training(tmp_path):
    rows = [f'{{"text": "row {n}"}}' for n in range(40)]
    (tmp_path / "a.jsonl").write_text("\n".join([*rows, "{", ""]))
    source = JsonlSource(path=str(tmp_path / "a.jsonl"))
    found = measure(source, SplitConfig(validation=0.1, test=0.2), Reading(malformed="skip"))
    assert {part: counts.documents for part, counts in found.parts.items()} == {"train": 28, "validation": 4, "test": 8}
    assert found.dropped == {"malformed line": 1}
    assert found.total.tokens is None
    limited = JsonlSource(path=source.path, max_samples=10)
    assert measure(limited, SplitConfig(), Reading()).total.documents == 10


def test_quantiles_are_lengths_that_occur():
    assert quantiles([5, 1, 3]) == {"min": 1, "p10": 1, "median": 3, "p90": 5, "p99": 5, "max": 5}
    assert quantiles([]) == {}
