"""Dirty data: each file of the corpus is refused by place and reason, or left out and counted; nothing else happens."""

import gzip
import json
import os
import re
import subprocess
import sys
from multiprocessing import get_context

import pytest
from tests.corpus.dirt import FILES, FINE, GOOD, SKIP, in_zstandard, source_of

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import compressed, files
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.jsonl import JsonlSource
from lilliput.corpus.sources.text import TextSource


def read(path):
    """(texts, counts by reason) of a file under the policy that leaves bad things out."""
    reader = Reader(SKIP)
    return [document.text for document in source_of(path).documents(reader)], dict(reader.dropped)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dirt")
    for name, dirt in FILES.items():
        (folder / name).write_bytes(dirt.content)
    return folder


def test_the_corpus_has_its_sixty_files_and_more():
    assert len(FILES) >= 100


@pytest.mark.parametrize("name", FILES)
def test_a_bad_thing_is_refused_by_file_line_and_byte(corpus, name):
    dirt = FILES[name]
    used = []
    try:
        for document in source_of(corpus / name).documents(Reader(Reading())):
            used.append(document.text)
    except LilliputError as error:
        assert dirt.refused is not None, error.cause
        assert error.code == Exit.CONTENT
        assert re.search(re.escape(name) + "(: | is )", error.cause)
        assert re.search(dirt.refused, error.cause), error.cause
        assert error.cause.isprintable()
        assert len(error.cause) < 400
        assert name.endswith(("gz", "zst")) <= (used == dirt.kept[: len(used)])
        if "damaged file" in dirt.dropped:
            assert used == []
    else:
        assert dirt.refused is None
        assert used == dirt.kept


@pytest.mark.parametrize("name", FILES)
def test_or_left_out_and_counted_by_reason(corpus, name):
    assert read(corpus / name) == (FILES[name].kept, FILES[name].dropped)


def test_no_line_is_lost_from_the_count(corpus):
    for name, dirt in FILES.items():
        if name.endswith(".jsonl"):
            lines = dirt.content.count(b"\n") + (not dirt.content.endswith(b"\n") and dirt.content != b"")
            assert lines == dirt.units, name


@pytest.mark.parametrize("size", [1, 3, 61, 4096])
def test_what_is_read_does_not_depend_on_the_size_of_a_block(corpus, monkeypatch, size):
    for module in (files, compressed):
        monkeypatch.setattr(module, "BLOCK", size)
    monkeypatch.setattr(compressed, "SLICE", max(1, size // 3))
    for name, dirt in FILES.items():
        if len(dirt.content) <= (20_000 if size < 60 else 1 << 30) and not name.startswith("bomb"):
            assert read(corpus / name) == (dirt.kept, dirt.dropped), name


@pytest.mark.parametrize("workers", [2, 4])
def test_what_is_read_does_not_depend_on_the_number_of_workers(corpus, workers):
    paths = [corpus / name for name in sorted(FILES) if not name.startswith("bomb")]
    with get_context("spawn").Pool(workers) as pool:
        found = pool.map(read, paths, chunksize=1)
    assert found == [(FILES[path.name].kept, FILES[path.name].dropped) for path in paths]


def test_a_whole_folder_counts_as_its_files_do(corpus):
    for source in (JsonlSource(path=str(corpus)), TextSource(path=str(corpus))):
        reader, ending = Reader(SKIP), ".jsonl" if source.kind == "jsonl" else ".txt"
        found = [document.text for document in source.documents(reader)]
        own = [FILES[name] for name in sorted(FILES) if ending in name]
        assert found == [text for dirt in own for text in dirt.kept]
        assert reader.dropped.total() == sum(sum(dirt.dropped.values()) for dirt in own)


BAD = {"malformed line": 1}
LARGE = {
    "line.txt": (lambda: b"word " * (20 << 20), 1, {}),
    "run.txt": (lambda: b"a" * (129 << 20), 0, {"too long": 1}),
    "line.jsonl": (lambda: GOOD + b'{"text": "' + b"word " * (20 << 20) + b'"}\n' + FINE, 2, {"malformed line": 1}),
    "line.jsonl.gz": (
        lambda: gzip.compress(GOOD + os.urandom(1 << 20).hex().encode() * 50, 1),
        1,
        {"malformed line": 1},
    ),
    "line-feeds.txt": (lambda: b"\n" * 10**6 + b"fine", 1, {}),
    "line-feeds.jsonl": (lambda: b"\n" * 10**6 + FINE, 1, {"blank": 10**6}),
    "separators.txt": (lambda: b"<|endoftext|>\n" * 10**6 + b"fine", 1, {"blank": 10**6}),
    "emptiest-values.jsonl": (lambda: b'{"text": "x", "n": [' + b"[]," * (5 << 20) + b"0]}\n", 1, {}),
    "bomb.jsonl.gz": (lambda: gzip.compress(b"\n" * (200 << 20)), 0, {"damaged file": 1}),
    "bomb.txt.zst": (lambda: in_zstandard(b" " * (200 << 20)), 0, {"damaged file": 1}),
    "widest-characters.txt": (lambda: b"word " * ((32 << 20) // 5) + "\U0001f600".encode(), 1, {}),
}
"""Files that are only large: what makes them, documents kept, and what is left out."""

MEASURE = """
import json, re, sys
from pathlib import Path
from tests.corpus.dirt import SKIP, source_of
from lilliput.corpus.reading import Reader
reader = Reader(SKIP)
kept = sum(1 for _ in source_of(Path(sys.argv[1])).documents(reader))
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(json.dumps([kept, reader.dropped, peak >> 10]))
"""


@pytest.mark.promise("R17")
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("name", LARGE)
def test_memory_stays_below_512_mb_whatever_is_read(tmp_path, name):
    content, kept, dropped = LARGE[name]
    (tmp_path / name).write_bytes(content())
    command = [sys.executable, "-c", MEASURE, str(tmp_path / name)]
    places = os.pathsep.join(sys.path)
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": places}, capture_output=True, timeout=120)
    (tmp_path / name).unlink()
    *found, peak = json.loads(done.stdout or done.stderr)
    assert found == [kept, dropped]
    assert peak <= 512
