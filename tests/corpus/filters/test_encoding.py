# ruff: noqa: RUF001 (the confusable characters are what is tested)
import json
import sys
from pathlib import Path

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.filters.encoding import EncodingRule, repair


@pytest.mark.parametrize(
    ("damaged", "whole"),
    [
        ("â€œIt was dark,â€\x9d she said.", "“It was dark,” she said."),
        ("she said, â€œHello!â€ and left", "she said, “Hello!” and left"),
        ("â€œNo.â€", "“No.”"),
        ("Lilyâ€™s red cafÃ©", "Lily’s red café"),
        ("a â€“ b â€” câ€¦", "a – b — c…"),
        ("IÃ¢â‚¬â„¢m twice wrong", "I’m twice wrong"),
        ("naÃ¯ve Ãœbung", "naïve Übung"),
        ("РџСЂРёРІРµС‚, РјРёСЂ", "Привет, мир"),
    ],
)
def test_text_that_was_decoded_wrongly_is_repaired(damaged: str, whole: str):
    assert EncodingRule().apply(damaged) == whole
    assert EncodingRule(mojibake=False, controls=False).apply(damaged) == damaged


@pytest.mark.parametrize(
    "text",
    [
        "“curly” ‘quotes’ — and…",
        "ﬁne ligatures, ｆｕｌｌ width",
        "&lt;b&gt; &amp; &eacute;",
        "naïve café à la crème, Øre",
        "Привет, мир",
        "日本語の文章",
        "l’été, ça, «où»",
        "a ≤ b ∧ c → d, ½ °C ±2 €5",
        "Ça va ? Âge, Ångström, Ärger",
    ],
)
def test_text_that_is_whole_stays_as_it_is(text: str):
    assert EncodingRule().apply(text) == text


def test_damage_in_one_line_does_not_hide_it_in_another():
    text = "“whole”\nâ€œdamagedâ€\x9d\n" + "é " * 20_000 + "itâ€™s\n" + "x" * 40_000 + "itâ€™s"
    whole = "“whole”\n“damaged”\n" + "é " * 20_000 + "it’s\n" + "x" * 40_000 + "it’s"
    assert repair(text) == whole


def test_the_sample_of_tinystories_has_no_mojibake_left(sample_data: Path):
    for name in ("train_sample.jsonl", "valid_sample.jsonl"):
        lines = (sample_data / "tinystories" / name).read_text("utf-8").splitlines()
        stories = [json.loads(line)["text"] for line in lines]
        assert any("â€" in story for story in stories)
        mended = [str(EncodingRule().apply(story)) for story in stories]
        assert not any(sign in story for story in mended for sign in ("â€", "Ã", "†"))  # a dagger is a lost quote
        assert [old for old, new in zip(stories, mended, strict=True) if old.isascii() and old != new] == []


def test_line_ends_become_one_kind_and_paragraphs_stay():
    text = "one\r\ntwo\r\n\r\nthree\rfour\n\tfive"
    assert EncodingRule().apply(text) == "one\ntwo\n\nthree\nfour\n\tfive"
    assert EncodingRule(line_ends=False).apply(text) == text


def test_control_characters_go_but_tab_and_form_feed():
    assert EncodingRule().apply("a\0b\x1bc\td\fe\ufefff\x7f") == "abc\td\feff".replace("ff", "f")
    assert EncodingRule(controls=False).apply("a\0b") == "a\0b"


def test_without_its_library_the_rule_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(LilliputError) as failure:
        EncodingRule().apply("é")
    assert failure.value.code == Exit.UNAVAILABLE
    assert "pip install 'lilliput[data]'" in failure.value.action
