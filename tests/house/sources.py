"""Every file of the package, read and parsed once for all house tests."""

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "lilliput"


@dataclass(frozen=True)
class Source:
    name: str
    """Relative to the package, e.g. `config/load.py`."""
    text: str
    tree: ast.Module
    nodes: list[ast.AST]

    @property
    def room(self) -> str:
        """The folder below the package, or an empty text for the package's own files."""
        return self.name.split("/")[0] if "/" in self.name else ""

    def imports(self, at_import_time: bool = False) -> set[str]:
        """Modules named by import statements, `a.b` for `from a.b import c`; those inside functions unless told."""
        nodes = outside_functions(self.tree) if at_import_time else self.nodes
        found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        return found | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}

    def calls(self) -> list[tuple[str, ast.Call]]:
        """Each call with its function as written, e.g. `torch.load`, `path.write_text`."""
        return [(ast.unparse(node.func), node) for node in self.nodes if isinstance(node, ast.Call)]


def outside_functions(tree: ast.AST) -> list[ast.AST]:
    """What runs when a module is imported."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(tree):
        is_for_types = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not is_for_types:
            found += [child, *outside_functions(child)]
    return found


def _source(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    return Source(path.relative_to(PACKAGE).as_posix(), text, tree, list(ast.walk(tree)))


SOURCES = [_source(path) for path in sorted(PACKAGE.rglob("*.py"))]
