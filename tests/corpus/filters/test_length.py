from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.length import ShortRule


def test_the_word_that_makes_it_enough_is_counted():
    assert ShortRule().apply("word " * 49) == Dropped("too short")
    assert ShortRule().apply("word " * 50) == "word " * 50


def test_characters_can_be_asked_for_where_words_have_no_spaces():
    assert ShortRule(min_words=0, min_characters=6).apply("日本語の文") == Dropped("too short")
    assert ShortRule(min_words=0, min_characters=5).apply("日本語の文") == "日本語の文"
