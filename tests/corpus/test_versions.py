import importlib
import sys

import pytest

from lilliput.corpus.versions import code


@pytest.fixture
def version(tmp_path, monkeypatch):
    """Writes a module and says what its code is."""
    monkeypatch.syspath_prepend(tmp_path)

    def of(text: str) -> str:
        (tmp_path / "a_rule.py").write_text(text, "utf-8")
        importlib.invalidate_caches()
        sys.modules.pop("a_rule", None)
        code.cache_clear()
        return code("a_rule")

    yield of
    code.cache_clear()


def test_words_for_people_change_no_version_and_code_does(version):
    plain = version("def f(x):\n    return x + 1\n")
    assert version('"""A module."""\n\ndef f(x):  # adds\n    """One more."""\n    return x + 1\n') == plain
    assert version("def f(x):\n    return x + 2\n") != plain


def test_what_a_module_builds_on_counts_too(version):
    plain = version("x = 1\n")
    assert version("import ftfy\nx = 1\n") != plain
    assert version("from lilliput.corpus.document import size\nx = 1\n") != plain


def test_every_rule_has_a_version_of_its_own():
    assert code("lilliput.corpus.filters.length") != code("lilliput.corpus.filters.encoding")
