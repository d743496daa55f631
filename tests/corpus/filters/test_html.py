import sys

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.html import DEEPEST, MOST_TAGS, HtmlRule

ANSWER = """<p>Use <code>a &lt; b</code> &amp; <em>not</em> this:</p>

<pre><code>def f(x):
    if x &lt; 2 &amp;&amp; y:
        return x
</code></pre>

<ul><li>one</li><li>two</li></ul>
"""


def test_an_answer_in_html_becomes_text_with_its_paragraphs_its_list_and_its_code():
    text = str(HtmlRule().apply(ANSWER))
    assert text.startswith("Use a < b & not this:\n\n")
    assert "def f(x):\n    if x < 2 && y:\n        return x\n" in text
    assert "one" in text and "two" in text
    assert "<" not in text.replace("<", "", 2)


def test_of_a_whole_page_the_main_content_is_left():
    sentence = "This is a long paragraph of the article itself, with enough words to be one. "
    page = (
        "<!DOCTYPE html><html><head><title>T</title><style>p {}</style></head><body><nav><a href=/>Home</a></nav>"
        f"<main><h1>Head</h1><p>{sentence * 3}</p><p>{sentence}</p></main><footer>Imprint</footer><script>x=1</script>"
    )
    text = str(HtmlRule().apply(page))
    assert text == f"Head\n\n{(sentence * 3).strip()}\n\n{sentence.strip()}"
    assert "Imprint" in str(HtmlRule(main_content=False).apply(page))


@pytest.mark.parametrize(
    "text",
    ["if (a<b && c>d) { return x<y; }", "A text with <b>bold</b> in it.", "#include <stdio.h>\n", "<3 you", "a <- b"],
)
def test_text_that_does_not_begin_with_a_tag_stays_unless_it_is_asked_for(text: str):
    assert HtmlRule().apply(text) == text


def test_a_text_may_be_taken_for_html_always():
    assert HtmlRule(always=True).apply("A text with <b>bold</b> in it.") == "A text with bold in it."


def test_a_page_without_text_or_with_too_many_tags_is_dropped():
    assert HtmlRule().apply("<html><body><script>x</script></body></html>") == Dropped("html: no text")
    assert HtmlRule().apply("<p>" * (MOST_TAGS + 1)) == Dropped("html: too many tags")


def test_divisions_within_divisions_do_not_lose_their_text():
    page = "<html><body>" + "<div>" * (DEEPEST + 1) + "<p>deep</p>" + "</div>" * (DEEPEST + 1)
    assert HtmlRule().apply(page) == "deep"


def test_without_its_library_the_rule_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "resiliparse.extract.html2text", None)
    with pytest.raises(LilliputError) as failure:
        HtmlRule().apply(ANSWER)
    assert failure.value.code == Exit.UNAVAILABLE
