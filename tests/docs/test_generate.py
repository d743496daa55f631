from pathlib import Path

import pytest
from docs.generate import ROOT, pages

PAGES = pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_generated_page_is_what_the_code_says(page: Path):
    assert page.read_text(encoding="utf-8") == PAGES[page], f"run `make docs`: {page.relative_to(ROOT)} is out of date"
