import ast
import re
from pathlib import Path

from tests.house.sources import PACKAGE, ROOT, SOURCES, Source

VAGUE = re.compile(r"(utils?|helpers?|common|misc|base_.*)(\.py)?")
UNSAFE = {
    "torch.save",
    "torch.load",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "marshal.loads",
    "eval",
    "exec",
}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
SEAM = ("runs/durable.py", "runs/faults.py")
WRITING = {
    *{"os.replace", "os.rename", "os.remove", "os.unlink", "os.rmdir", "os.mkdir", "os.makedirs", "os.removedirs"},
    *{"shutil.rmtree", "shutil.move", "shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree"},
}
WRITING_METHODS = {"write_text", "write_bytes", "mkdir", "unlink", "rmdir", "touch", "symlink_to", "hardlink_to"}


def calling(names: set[str], but: tuple[str, ...] = ()) -> list[str]:
    """Where a function of these names is called, leaving out files that begin with one of `but`."""
    kept = [source for source in SOURCES if not source.name.startswith(but or "\0")]
    return [f"{source.name}:{call.lineno} {name}" for source in kept for name, call in source.calls() if name in names]


def test_no_file_or_folder_has_a_vague_name():
    assert [s.name for s in SOURCES if any(VAGUE.fullmatch(part) for part in Path(s.name).parts)] == []


def test_only_the_command_line_speaks():
    assert calling({"print", "sys.stdout.write", "sys.stderr.write"}, but=("cli/",)) == []
    assert [s.name for s in SOURCES if s.room != "cli" and "rich" in {m.split(".")[0] for m in s.imports()}] == []


def test_nothing_executes_what_it_reads():
    assert [s.name for s in SOURCES if UNSAFE_MODULES & {module.split(".")[0] for module in s.imports()}] == []
    assert calling(UNSAFE) == []
    assert [s.name for s in SOURCES for n in s.nodes if isinstance(n, ast.keyword) and n.arg == "allow_pickle"] == []


def test_every_durable_write_goes_through_the_seam():
    methods = [
        f"{source.name}:{call.lineno} {name}"
        for source in SOURCES
        for name, call in source.calls()
        if source.name not in SEAM and writes(name, call)
    ]
    assert calling(WRITING, but=SEAM) + methods == []


def writes(name: str, call: ast.Call) -> bool:
    """Whether a call opens a file for writing, in any spelling, or is a writing method of a path."""
    owner, _, method = name.rpartition(".")
    if method != "open" or owner == "os":
        return bool(owner) and owner != "durable" and method in WRITING_METHODS
    arguments = [*call.args, *[keyword.value for keyword in call.keywords if keyword.arg == "mode"]]
    modes = [a.value for a in arguments if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return any(re.fullmatch(r"[rwxabt+]{1,3}", mode) and set(mode) & set("wxa+") for mode in modes)


def test_no_failure_is_swallowed():
    handlers = [
        (source.name, node) for source in SOURCES for node in source.nodes if isinstance(node, ast.ExceptHandler)
    ]
    assert [f"{name}:{node.lineno}" for name, node in handlers if is_swallowed(node)] == []


def is_swallowed(handler: ast.ExceptHandler) -> bool:
    is_silent = all(isinstance(line, ast.Pass | ast.Continue) for line in handler.body)
    return handler.type is None or (is_silent and ast.unparse(handler.type) in ("Exception", "BaseException"))


def test_no_family_is_named_outside_its_room():
    # `gpt2` is a tokenizer's kind, too.
    tags = {tag for s in SOURCES if s.room == "models" for tag in re.findall(r'family: .*Literal\["(\w+)"\]', s.text)}
    elsewhere = [source for source in SOURCES if source.room not in ("models", "recipes")]
    assert len(tags) > 2
    assert [f"{s.name} {word}" for s in elsewhere for word in words(s) if word in tags - {"gpt2"}] == []
    assert [s.name for s in elsewhere if {m.removeprefix("lilliput.models.") for m in s.imports()} & tags] == []


def words(source: Source) -> list[str]:
    return [node.value for node in source.nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_no_work_is_left_in_comments():
    mark = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")
    assert [f"{s.name}:{i}" for s in SOURCES for i, line in enumerate(s.text.splitlines()) if mark.search(line)] == []


def test_files_stay_short_enough_to_read():
    assert [source.name for source in SOURCES if len(source.text.splitlines()) > 450] == []


def test_a_recipe_is_at_most_forty_lines():
    recipes = sorted((PACKAGE / "recipes").rglob("*.yaml"))
    assert [path.name for path in recipes if len(path.read_text(encoding="utf-8").splitlines()) > 40] == []


def test_the_repository_names_no_machine_of_its_makers():
    private = re.compile(r"(^|[^\w.~])/(work|tmp/probe|opt)/")
    pages = [page for pattern in ("*.md", "docs/**/*.md", "Makefile", ".ci/*") for page in ROOT.glob(pattern)]
    assert [source.name for source in SOURCES if private.search(source.text)] == []
    assert [page.name for page in pages if private.search(page.read_text(encoding="utf-8"))] == []
