import ast
import re

from tests.house.sources import SOURCES


def test_every_module_opens_with_one_sentence():
    def sentence(tree: ast.Module) -> str:
        return " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())

    wrong = [s.name for s in SOURCES if not sentence(s.tree).endswith(".") or re.search(r"\. [A-Z]", sentence(s.tree))]
    assert wrong == []
