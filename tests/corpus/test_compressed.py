import gzip

import pytest
import zstandard

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.text import TextSource


def texts(source, **reading):
    return [document.text for document in source.documents(Reader(Reading(**reading)))]


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return TextSource(path=str(path))


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_compressed_files_read_as_their_content_members_joined(tmp_path, ending):
    pack = gzip.compress if ending == "gz" else zstandard.ZstdCompressor(write_checksum=True).compress
    content = "one\n" * 700_000
    assert texts(written(tmp_path / f"a.txt.{ending}", pack(content.encode()) + pack(b"two"))) == [content + "two"]


@pytest.mark.parametrize("ending", ["gz", "zst"])
@pytest.mark.parametrize("damage", ["cut", "checksum", "garbage", "empty"])
def test_no_document_of_a_damaged_compressed_file_is_used(tmp_path, ending, damage):
    pack = gzip.compress if ending == "gz" else zstandard.ZstdCompressor(write_checksum=True).compress
    whole = pack(b"".join(b"story %d\n<|endoftext|>\n" % i for i in range(10_000)))
    at = -6 if ending == "gz" else -2
    bytes_ = {
        "cut": whole[:-20],
        "checksum": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
        "garbage": whole + b"garbage",
        "empty": b"",
    }[damage]
    source = written(tmp_path / f"a.txt.{ending}", bytes_)
    with pytest.raises(LilliputError, match="is damaged") as failure:
        next(source.documents(Reader(Reading())))
    assert failure.value.code == Exit.CONTENT


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_compression_bomb_is_refused_before_it_is_unpacked(tmp_path, ending):
    zeros = b" " * (100 << 20)
    packed = gzip.compress(zeros, 1) if ending == "gz" else zstandard.ZstdCompressor().compress(zeros)
    with pytest.raises(LilliputError, match="expands more than 200 times"):
        texts(written(tmp_path / f"a.txt.{ending}", packed))


STORIES = b"".join(b"story %d\n" % number for number in range(200))
PACKED = {
    "gz": gzip.compress(STORIES, mtime=0),
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress(STORIES),
}


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_every_flipped_bit_is_noticed_or_harmless(tmp_path, ending):
    packed, noticed = PACKED[ending], 0
    for at in range(len(packed)):
        flipped = packed[:at] + bytes([packed[at] ^ (1 << at % 8)]) + packed[at + 1 :]
        try:
            assert texts(written(tmp_path / f"a.txt.{ending}", flipped)) == [STORIES.decode()]
        except LilliputError as error:
            assert error.code == Exit.CONTENT
            noticed += 1
    assert noticed > len(packed) - 12  # time, system and flags in the header say nothing of the content
