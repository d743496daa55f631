import gzip
import os
import sys

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import BLOCK
from lilliput.corpus.reading import Reader, Reading
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
def test_a_pipe_or_a_loop_of_links_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    for name in ("pipe.txt", "loop.txt"):
        with pytest.raises(LilliputError) as failure:
            texts(TextSource(path=str(tmp_path / name)))
        assert failure.value.code == Exit.IO


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_names_that_are_no_utf8_or_hold_line_feeds_read_and_print_on_one_line(tmp_path):
    for name in ("bad\udcff.txt", "two\nlines.txt"):
        (tmp_path / name).write_text("text")
    keys = [document.key for document in TextSource(path=str(tmp_path)).documents(Reader(Reading()))]
    assert len(keys) == 2
    assert all(key.isprintable() and key.encode() for key in keys)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    source = written(tmp_path / "a.txt", "x" * (2 * BLOCK) + "\n<|endoftext|>\n" + "y" * 2 * BLOCK)
    documents = source.documents(Reader(Reading()))
    next(documents)
    with (tmp_path / "a.txt").open("ab") as file:
        file.write(b"more")
    with pytest.raises(LilliputError, match="changed while it was read"):
        list(documents)
