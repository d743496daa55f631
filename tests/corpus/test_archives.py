"""Archives never choose names: no source unpacks one, whatever it is called and however it is wrapped."""

import ast
import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import lilliput
from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.jsonl import JsonlSource
from lilliput.corpus.sources.tables import CsvSource
from lilliput.corpus.sources.text import TextSource

NAMES = (
    "../../escaped.txt",
    "/tmp/escaped.txt",
    "a/../../escaped.txt",
    "C:\\escaped.txt",
    "A.txt",
    "a.txt",
    "x/" * 2000,
)


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in NAMES:
            archive.writestr(name, "escaped")
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for number, name in enumerate((*NAMES, "link", "hard")):
            member = tarfile.TarInfo(name)
            member.type = {7: tarfile.SYMTYPE, 8: tarfile.LNKTYPE}.get(number, tarfile.REGTYPE)
            member.linkname = "/etc" if number > 6 else ""
            archive.addfile(member)
    return file.getvalue()


ARCHIVES = {
    "zip": zipped(),
    "empty zip": b"PK\5\6" + bytes(18),
    "tar": tarred(),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(99),
}


@pytest.mark.parametrize("archive", ARCHIVES)
@pytest.mark.parametrize("ending", ["txt", "txt.gz", "jsonl", "jsonl.gz", "json", "csv", "tar.gz", "zip"])
def test_an_archive_is_refused_or_counted_and_nothing_of_it_is_unpacked(tmp_path, archive, ending):
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    content = ARCHIVES[archive]
    (folder / f"a.{ending}").write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    kinds = {"jsonl": JsonlSource, "json": JsonlSource, "csv": CsvSource}
    source = kinds.get(ending.split(".")[0], TextSource)(path=str(folder / f"a.{ending}"))
    with pytest.raises(LilliputError, match=r"line 1 \(byte 0\) begins an archive") as failure:
        list(source.documents(Reader(Reading())))
    assert failure.value.code == Exit.CONTENT
    reader = Reader(Reading(malformed="skip"))
    assert list(source.documents(reader)) == []
    assert reader.dropped == {"damaged file": 1}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"a.{ending}"]
    assert not Path("/tmp/escaped.txt").exists()


def test_no_module_can_unpack_an_archive():
    unpacking = {"tarfile", "zipfile", "shutil.unpack_archive"}
    for path in Path(lilliput.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not (imported & unpacking or attributes & {"extractall", "unpack_archive"}), path


def test_programs_beside_the_data_or_in_the_current_folder_are_never_run(tmp_path):
    data, marker = tmp_path / "data", tmp_path / "marker"
    data.mkdir()
    for name in (
        "conftest",
        "sitecustomize",
        "usercustomize",
        "setup",
        "modeling_x",
        "data",
        "datasets",
        "json",
        "typer",
    ):
        (data / f"{name}.py").write_text(f"open({str(marker)!r}, 'w').close()")
    (data / "evil.pth").write_text(f"import os; open({str(marker)!r}, 'w').close()")
    (data / "config.json").write_text('{"auto_map": {"AutoModel": "modeling_x.X"}}')
    (data / "a.txt").write_text("some words")
    start = tmp_path / "bin"
    start.mkdir()
    (start / "lilliput").write_text("from lilliput.cli import main\nmain()\n")
    places = {
        **os.environ,
        "PYTHONPATH": str(Path(lilliput.__file__).parents[1]),
        "LILLIPUT_HOME": str(tmp_path / "home"),
    }
    for words in (["stats", "."], ["stats", str(data)], ["stats", "*.txt"]):
        command = [sys.executable, str(start / "lilliput"), "corpus", *words]
        done = subprocess.run(command, cwd=data, env=places, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "1" in done.stdout
    assert not marker.exists()
