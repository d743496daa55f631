import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lilliput.corpus.posts import best, conversation, plain


def test_html_becomes_paragraphs_and_code_stays_as_it_was():
    html = (
        "<p>How do I\nwrite a <strong>loop</strong> with <code>a &lt; b</code>?</p>\n\n"
        "<pre><code>for i in range(3):\n    if i &lt; 2 &amp;&amp; x:\n        print(i)\n</code></pre>\n"
        "<ul><li>one</li><li>two</li></ul><p>Thanks.<br>Me</p>"
    )
    assert plain(html) == (
        "How do I write a loop with a < b?\n\n"
        "for i in range(3):\n    if i < 2 && x:\n        print(i)\n\n"
        "one\ntwo\n\nThanks.\nMe"
    )


@pytest.mark.parametrize("text", ["if (a<b && c>d) {\n    return x;\n}", "1 < 2", "", "List<String> names = f();"])
def test_a_text_without_tags_is_left_alone(text):
    assert plain(text) == text


def test_scripts_are_no_text():
    assert plain("<p>a</p><script>alert(1)</script><style>p {}</style><p>b</p>") == "a\n\nb"


@given(some.text(alphabet="<>/p& ;=\"'\nabr!-[]"))
def test_any_markup_is_read_without_an_error(text):
    assert isinstance(plain(f"<p>{text}"), str)


def answer(text, score, selected=False):
    return {"text": text, "pm_score": score, "selected": selected}


def test_the_selected_answer_wins_then_the_score_and_never_the_place():
    worst, top, chosen = answer("a", 1), answer("b", 9), answer("c", 3, True)
    assert best([worst, top, chosen]) is chosen
    assert best([worst, top]) is top
    assert best([top, answer("d", 9)]) is top
    assert best([]) is None


def test_a_row_of_the_set_is_its_question_and_best_answer(sample_data):
    path = sample_data / "hf_schema_fixtures" / "HuggingFaceH4__stack-exchange-preferences__train.jsonl"
    row = json.loads(path.read_text("utf-8").splitlines()[0])
    row["answers"] = [{"text": "worse", "pm_score": 0, "selected": False}, *row["answers"]]
    text = conversation(row)
    assert text.startswith(plain(row["question"]))
    assert "worse" not in text
    assert text.endswith(plain(row["answers"][1]["text"]))


def test_a_question_without_an_answer_is_the_question_and_other_columns_are_refused():
    assert conversation({"question": "<p>Why?</p>", "answers": []}) == "Why?"
    with pytest.raises(ValueError, match="no text `question`"):
        conversation({"text": "x"})
