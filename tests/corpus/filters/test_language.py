import sys
from pathlib import Path

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.language import LANGUAGES, LanguageRule, identifier, identify

CODES = {"eng": "en", "fra": "fr", "spa": "es", "rus": "ru", "tur": "tr", "jpn": "ja", "kor": "ko", "arb": "ar"}


@pytest.mark.parametrize("name", CODES)
def test_the_declaration_of_human_rights_is_known_by_its_language(name: str, sample_data: Path):
    text = (sample_data / "unicode" / "udhr2" / f"{name}.txt").read_text("utf-8")
    assert identify(text)[0] == CODES[name]
    assert LanguageRule(keep=(CODES[name],)).apply(text) == text
    assert LanguageRule(keep=("fi",)).apply(text) == Dropped(f"language: {CODES[name]}")


def test_a_text_without_a_language_is_not_clear():
    assert LanguageRule().apply("12345 67890 -- 11.5") == Dropped("language: not clear")
    assert LanguageRule(keep=("zxx", "en", "is"), min_probability=0.0).apply("12345") == "12345"


def test_the_end_of_a_long_text_counts_too(sample_data: Path):
    english = (sample_data / "unicode" / "udhr2" / "eng.txt").read_text("utf-8")[:1000]
    russian = (sample_data / "unicode" / "udhr2" / "rus.txt").read_text("utf-8")
    assert identify(english + russian)[0] == "ru"


def test_the_codes_are_those_of_the_library_and_others_are_refused():
    assert sorted(identifier().labels) == LANGUAGES.split()
    with pytest.raises(ValueError, match="'english' is no language's code; it may be en, de"):
        LanguageRule(keep=("en", "english"))


def test_without_its_library_the_rule_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    identifier.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(LilliputError) as failure:
        LanguageRule().apply("one")
    assert failure.value.code == Exit.UNAVAILABLE
