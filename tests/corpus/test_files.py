import gzip
import os
import random
import socket
import sys

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import BLOCK
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.jsonl import JsonlSource
from lilliput.corpus.sources.text import TextSource


def texts(source, **reading):
    return [document.text for document in source.documents(Reader(Reading(**reading)))]


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return TextSource(path=str(path))


def test_a_folder_gives_its_txt_files_sorted_at_any_depth(tmp_path):
    for name in ("b.txt", "a/z.txt", "a.txt", "note.md"):
        written(tmp_path / name, name)
    written(tmp_path / "c.txt.gz", gzip.compress(b"packed"))
    source = TextSource(path=str(tmp_path))
    assert texts(source) == ["a.txt", "a/z.txt", "b.txt", "packed"]
    assert [document.key for document in source.documents(Reader(Reading()))][1] == "a/z.txt:1"


def test_a_pattern_gives_the_matching_files_sorted(tmp_path):
    for name in ("2.txt", "1.txt", "x/3.txt"):
        written(tmp_path / name, name)
    assert texts(TextSource(path=f"{tmp_path}/*.txt")) == ["1.txt", "2.txt"]
    assert texts(TextSource(path=f"{tmp_path}/**/*.txt")) == ["1.txt", "2.txt", "x/3.txt"]


def test_a_pattern_for_all_folders_does_not_follow_links_in_circles(tmp_path, monkeypatch):
    for name in ("a/1.txt", "a/b/2.txt", "[odd]/3.txt", ".hidden/4.txt", "a/5.md"):
        written(tmp_path / name, name)
    for folder in ("", "a", "a/b"):
        for name in ("here", "there"):  # two links to one place: 2^40 paths for who follows them
            (tmp_path / folder / name).symlink_to(".")
    for pattern in ("**/*.txt", "**/**/*.txt", "**/[123].txt"):
        assert texts(TextSource(path=f"{tmp_path}/{pattern}")) == ["[odd]/3.txt", "a/1.txt", "a/b/2.txt"]
    assert texts(TextSource(path=f"{tmp_path}/a/**")) == ["a/1.txt", "a/5.md", "a/b/2.txt"]
    monkeypatch.chdir(tmp_path)
    assert texts(TextSource(path="**/*.txt")) == ["[odd]/3.txt", "a/1.txt", "a/b/2.txt"]


def test_what_is_missing_or_no_file_is_named_with_its_exit_code(tmp_path):
    (tmp_path / "empty").mkdir()
    for path, code in (
        ("none.txt", Exit.MISSING),
        ("empty", Exit.MISSING),
        ("*.txt", Exit.MISSING),
        ("a\0b", Exit.MISSING),
    ):
        with pytest.raises(LilliputError) as failure:
            texts(TextSource(path=str(tmp_path / path)))
        assert failure.value.code == code
        assert "\n" not in failure.value.cause


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
@pytest.mark.parametrize("ending", [".txt", ".jsonl", ".txt.gz", ".jsonl.zst"])
def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path, ending):
    os.mkfifo(tmp_path / f"pipe{ending}")
    (tmp_path / f"loop{ending}").symlink_to(f"loop{ending}")
    (tmp_path / f"endless{ending}").symlink_to("/dev/zero")
    (tmp_path / f"dangling{ending}").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / f"socket{ending}"))
    kind = JsonlSource if ".jsonl" in ending else TextSource
    for name in ("pipe", "loop", "endless", "dangling", "socket"):
        for policy in ("refuse", "skip"):
            with pytest.raises(LilliputError) as failure:
                texts(kind(path=str(tmp_path / f"{name}{ending}")), malformed=policy)
            assert failure.value.code == (Exit.MISSING if name == "dangling" else Exit.IO)
    with pytest.raises(LilliputError, match="dangling"):  # the first of the folder's files
        texts(kind(path=str(tmp_path)))


def test_a_folder_named_like_a_file_is_a_folder(tmp_path):
    written(tmp_path / "a.txt" / "b.txt", "inside")
    assert texts(TextSource(path=str(tmp_path))) == ["inside"]
    assert texts(TextSource(path=str(tmp_path / "a.txt"))) == ["inside"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_names_that_are_no_utf8_or_hold_line_feeds_read_and_print_on_one_line(tmp_path):
    for name in ("bad\udcff.txt", "two\nlines.txt"):
        (tmp_path / name).write_text("text")
    keys = [document.key for document in TextSource(path=str(tmp_path)).documents(Reader(Reading()))]
    assert len(keys) == 2
    assert all(key.isprintable() and key.encode() for key in keys)


@pytest.mark.parametrize("ending", [".txt", ".txt.gz"])
@pytest.mark.parametrize("change", ["longer", "shorter", "empty", "other bytes"])
def test_a_file_that_is_written_to_while_it_is_read_is_refused(tmp_path, ending, change):
    text = "".join(f"{random.Random(number).randbytes(5000).hex()}\n<|endoftext|>\n" for number in range(500))
    content = text.encode() if ending == ".txt" else gzip.compress(text.encode(), 1)
    source = written(tmp_path / f"a{ending}", content)
    for policy in ("refuse", "skip"):
        documents = source.documents(Reader(Reading(malformed=policy, invalid_utf8=policy)))
        next(documents)
        with (tmp_path / f"a{ending}").open("r+b") as file:
            size = {"longer": len(content) + 9, "shorter": len(content) - 9, "empty": 0}.get(change)
            file.truncate(len(content) if size is None else size)
            if size is None:
                file.seek(len(content) // 2)
                file.write(bytes(1000))
        with pytest.raises(LilliputError, match="changed while it was read") as failure:
            list(documents)
        assert failure.value.code == Exit.IO
        (tmp_path / f"a{ending}").write_bytes(content)


def test_a_file_replaced_while_it_is_read_is_read_as_it_was(tmp_path):
    source = written(tmp_path / "a.txt", "\n<|endoftext|>\n".join(f"old {number}" * 2000 for number in range(200)))
    documents = source.documents(Reader(Reading()))
    next(documents)
    written(tmp_path / "b.txt", "new")
    (tmp_path / "b.txt").replace(tmp_path / "a.txt")
    assert {document.text[:3] for document in documents} == {"old"}


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    source = written(tmp_path / "a.txt", "x" * (2 * BLOCK) + "\n<|endoftext|>\n" + "y" * 2 * BLOCK)
    documents = source.documents(Reader(Reading()))
    next(documents)
    with (tmp_path / "a.txt").open("ab") as file:
        file.write(b"more")
    with pytest.raises(LilliputError, match="changed while it was read"):
        list(documents)
