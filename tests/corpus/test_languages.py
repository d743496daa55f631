import sys

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import languages
from lilliput.corpus.languages import PASSAGE, Sample, teller

ENGLISH = "Everyone has the right to rest and leisure, including reasonable limitation of working hours. "
GERMAN = "Jeder hat das Recht auf Erholung und Freizeit und insbesondere auf eine Begrenzung der Arbeitszeit. "


def test_languages_are_told_of_many_scripts(sample_data):
    pytest.importorskip("py3langid")
    files = {
        "eng": "en",
        "fra": "fr",
        "cmn_hans": "zh",
        "arb": "ar",
        "rus": "ru",
        "hin": "hi",
        "jpn": "ja",
        "fin": "fi",
    }
    tell = teller()
    for name, expected in files.items():
        text = (sample_data / "unicode" / "udhr2" / f"{name}.txt").read_text(encoding="utf-8")
        assert tell(text) == expected
    assert tell("1 2 3 ...") == tell("") == "und"


def test_shares_are_those_of_the_bytes_whatever_documents_they_stand_in():
    pytest.importorskip("py3langid")
    sample = Sample()
    sample.add(ENGLISH * 300)
    for _ in range(100):
        sample.add(GERMAN)
    found = sample.languages()
    assert list(found.shares) == ["en", "de"]
    assert found.shares["en"] == pytest.approx(len(ENGLISH) * 3 / (len(ENGLISH) * 3 + len(GERMAN)), abs=0.01)
    assert found.passages == found.of == 100 + -(-len(ENGLISH) * 300 // PASSAGE)


def test_a_sample_is_even_repeatable_and_no_larger_than_its_room():
    first, second = Sample(200), Sample(200)
    for number in range(10_000):
        first.add(str(number))
        second.add(str(number))
    assert first.held == second.held
    assert len(first.held) == 200 and first.seen == 10_000
    drawn = sorted(int(text) for _, _, text in first.held)
    assert all(any(low <= number < low + 1000 for number in drawn) for low in range(0, 10_000, 1000))


def test_without_py3langid_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(languages, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "py3langid", None)
    with pytest.raises(LilliputError) as refused:
        teller()
    assert refused.value.code == Exit.UNAVAILABLE
    assert "lilliput[data]" in refused.value.action
