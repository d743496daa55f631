"""The dirty corpus: files as the world has them, made by code, with what is right to make of each."""

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from lilliput.corpus.reading import Reading
from lilliput.corpus.sources.jsonl import JsonlSource
from lilliput.corpus.sources.text import TextSource

SKIP = Reading(malformed="skip", invalid_utf8="skip")

INVALID_UTF8 = {
    "continuation": b"\x80",
    "overlong": b"\xc0\xaf",
    "cut": b"\xe4\xb8",
    "surrogate": b"\xed\xa0\x80",
    "too-high": b"\xf5\x80\x80\x80",
    "utf-16": b"\xff\xfeA\x00",
}


def source_of(path: Path) -> JsonlSource | TextSource:
    """The source that reads a file, by its name."""
    return (JsonlSource if ".jsonl" in path.name else TextSource)(path=str(path))


@dataclass(frozen=True)
class Dirt:
    """One file. `refused` is the place and reason that the default policy names, None where nothing is wrong."""

    content: bytes
    kept: list[str]
    dropped: dict[str, int] = field(default_factory=dict)
    refused: str | None = None

    @property
    def units(self) -> int:
        """Lines or documents that came in."""
        return len(self.kept) + sum(self.dropped.values())


def line(text: str) -> bytes:
    return json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n"


GOOD, FINE = line("good"), line("fine")
SECOND = rf"line 2 \(byte {len(GOOD)}\)"
BAD_LINE, BAD_BYTES, BLANK, LONG, FILE = "malformed line", "invalid utf-8", "blank", "too long", "damaged file"


def between(bad: bytes, reason: str = BAD_LINE, refused: str | None = SECOND) -> Dirt:
    """A line of JSON between two good ones, left out for a reason."""
    return Dirt(GOOD + bad + b"\n" + FINE, ["good", "fine"], {reason: 1}, refused)


def harmless(line: bytes, text: str) -> Dirt:
    return Dirt(GOOD + line + b"\n" + FINE, ["good", text, "fine"])


def nothing(content: bytes, **dropped: int) -> Dirt:
    return Dirt(content, [], dropped)


def row(value: str) -> bytes:
    return f'{{"text": "x", "n": {value}}}'.encode()


BAD_LINES = {
    **{name: between(b'{"text": "a' + form + b'b"}', BAD_BYTES) for name, form in INVALID_UTF8.items()},
    "no-json": between(b"not json at all"),
    "cut": between(b'{"text": "never en'),
    "trailing-comma": between(b'{"text": "a",}'),
    "single-quotes": between(b"{'text': 'a'}"),
    "comment": between(b'{"text": "a"} // ok'),
    "two-objects": between(b'{"text": "a"}{"text": "b"}'),
    "array": between(b'["text", "a"]'),
    "string": between(b'"text"'),
    "number": between(b"17"),
    "null-row": between(b"null"),
    "missing-field": between(b'{"body": "a"}'),
    "empty-object": between(b"{}"),
    "other-case": between(b'{"Text": "a"}'),
    "number-as-text": between(b'{"text": 3}'),
    "null-as-text": between(b'{"text": null}'),
    "list-as-text": between(b'{"text": ["a", "b"]}'),
    "object-as-text": between(b'{"text": {"text": "a"}}'),
    "true-as-text": between(b'{"text": true}'),
    "nan": between(row("NaN")),
    "infinity": between(row("-Infinity")),
    "endless-integer": between(row("9" * 5000)),
    "deep-arrays": between(row("[" * 100_000 + "]" * 100_000)),
    "deep-objects": between(row('{"a":' * 100_000 + "1" + "}" * 100_000)),
    "deep-and-open": between(b'{"text": ' + b"[" * 100_000),
    "column-twice": between(b'{"text": "a", "text": "b"}'),
    "raw-nul": between(b'{"text": "a\0b"}'),
    "only-nuls": between(b"\0" * 100),
    "raw-escape": between(b'{"text": "a\x1b[31mb"}'),
    "raw-tab": between(b'{"text": "a\tb"}'),
    "bad-escape": between(b'{"text": "a\\x41"}'),
    "high-surrogate": between(b'{"text": "a\\ud800b"}', BAD_BYTES),
    "low-surrogate": between(b'{"text": "\\udc00"}', BAD_BYTES),
    "swapped-surrogates": between(b'{"text": "\\ude00\\ud83d"}', BAD_BYTES),
    "mark-in-the-middle": between(b'\xef\xbb\xbf{"text": "a"}'),
    "zero-length": between(b'{"text": ""}', BLANK, None),
    "only-blanks": between(b'{"text": " \\n\\t\\u2003"}', BLANK, None),
    "blank-line": between(b"", BLANK, None),
    "line-of-blanks": between(b" \t ", BLANK, None),
}
"""JSON lines of which one is bad."""

ODD_LINES = {
    "mark": Dirt(b"\xef\xbb\xbf" + GOOD, ["good"]),
    "mark-and-bad-byte": Dirt(b'\xef\xbb\xbf{"text": "\xff"}', [], {BAD_BYTES: 1}, r"line 1 \(byte 0\): byte 13 is no"),
    "mark-alone": nothing(b"\xef\xbb\xbf", **{BLANK: 1}),
    "escaped-nul": harmless(b'{"text": "a\\u0000b"}', "a\0b"),
    "pair-of-surrogates": harmless(b'{"text": "\\ud83d\\ude00"}', "\U0001f600"),
    "line-separators": harmless('{"text": "a\u2028b\u2029c\u0085d"}'.encode(), "a\u2028b\u2029c\u0085d"),
    "huge-float": harmless(row("1e999"), "x"),
    "crlf": Dirt(b'{"text": "a"}\r\n{"text": "b"}\r\n', ["a", "b"]),
    "cr-alone": Dirt(b'{"text": "a"}\r{"text": "b"}\r', [], {BAD_LINE: 1}, r"line 1 \(byte 0\)"),
    "no-last-line-feed": Dirt(GOOD + FINE[:-1], ["good", "fine"]),
    "empty": nothing(b""),
    "only-line-feeds": nothing(b"\n" * 5, **{BLANK: 5}),
    "pretty-printed": Dirt(b'[\n {"text": "a"},\n {"text": "b"}\n]\n', ["b"], {BAD_LINE: 3}, r"line 1 \(byte 0\)"),
    "bytes-of-all-kinds": Dirt(bytes(range(256)) * 4, [], {BAD_LINE: 1, BAD_BYTES: 4}, r"line 1 \(byte 0\)"),
}
"""JSON lines that are odd as a whole."""

SEPARATOR = "<|endoftext|>"

TEXTS = {
    **{
        name: Dirt(
            b"fine\n<|endoftext|>\nabc" + form + b"\n<|endoftext|>\nlast",
            ["fine", "last"],
            {BAD_BYTES: 1},
            r"line 3: byte 22 is no UTF-8",
        )
        for name, form in INVALID_UTF8.items()
    },
    "mark": Dirt(b"\xef\xbb\xbfone", ["one"]),
    "mark-and-bad-byte": Dirt(b"\xef\xbb\xbfone\ntwo\xff", [], {BAD_BYTES: 1}, r"line 2: byte 10 is no UTF-8"),
    "nul": Dirt(b"a\0b", ["a\0b"]),
    "only-nuls": Dirt(b"\0" * 4096, ["\0" * 4096]),
    "escapes": Dirt(b"\x1b]0;title\x07\x1b[2Jtext", ["\x1b]0;title\x07\x1b[2Jtext"]),
    "line-separators": Dirt("a\u2028b\u0085c\x0b\x0cd".encode(), ["a\u2028b\u0085c\x0b\x0cd"]),
    "crlf": Dirt(b"a\r\nb\r\n<|endoftext|>\r\nc\r\n", ["a\r\nb", "c\r\n"]),
    "cr-alone": Dirt(b"a\rb\r<|endoftext|>\rc", ["a\rb\r<|endoftext|>\rc"]),
    "empty": nothing(b""),
    "mark-alone": nothing(b"\xef\xbb\xbf", **{BLANK: 1}),
    "only-line-feeds": nothing(b"\n" * 5, **{BLANK: 1}),
    "only-separators": nothing(b"<|endoftext|>\n" * 3, **{BLANK: 3}),
    "documents-of-nothing": Dirt(b"\n<|endoftext|>\n \n<|endoftext|>\nc", ["c"], {BLANK: 2}),
    "separator-in-a-line": Dirt(b"a <|endoftext|>\nb", ["a <|endoftext|>\nb"]),
    "separator-and-many-blanks": Dirt(b"a\n<|endoftext|>" + b" " * 900 + b"\nb", ["a", "b"]),
    "separator-and-too-many-blanks": Dirt(
        b"a\n<|endoftext|>" + b" " * 9000 + b"\nb", ["a\n<|endoftext|>" + " " * 9000 + "\nb"]
    ),
    "half-a-separator": Dirt(b"a\n<|endofte", ["a\n<|endofte"]),
    "separator-at-the-end": Dirt(b"a\n<|endoftext|>", ["a"]),
}


def in_gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def in_zstandard(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


STORIES = b"".join(line(f"story {number}") for number in range(10_000))
TOLD = [f"story {number}" for number in range(10_000)]


def unusable(content: bytes, refused: str = r"is damaged after line \d+ \(byte \d+\)") -> Dirt:
    return Dirt(content, [], {FILE: 1}, refused)


def packed(pack: Callable[[bytes], bytes], checksum: int) -> dict[str, Dirt]:
    """Files of one kind of compression; `checksum` is where a byte of the checksum lies, from the end."""
    whole = pack(STORIES)
    return {
        "sound": Dirt(whole, TOLD),
        "members": Dirt(pack(GOOD) + pack(b"") + pack(FINE), ["good", "fine"]),
        "cut": unusable(whole[:-20]),
        "cut-in-half": unusable(whole[: len(whole) // 2]),
        "cut-in-its-head": unusable(whole[:3]),
        "checksum": unusable(whole[:checksum] + bytes([whole[checksum] ^ 1]) + whole[checksum + 1 :]),
        "flipped": unusable(whole[:5000] + bytes([whole[5000] ^ 16]) + whole[5001:]),
        "second-member": unusable(pack(GOOD) + whole[:-20]),
        "garbage": unusable(whole + b"garbage"),
        "nothing": unusable(b""),
        "plain": unusable(GOOD + FINE),
        "of-nothing": nothing(pack(b"")),
        "twice": unusable(pack(pack(GOOD)), r"line 1 \(byte 0\) begins an archive"),
        "bad-line": Dirt(pack(GOOD + b"{\n" + FINE), ["good", "fine"], {BAD_LINE: 1}, SECOND),
        "bomb": unusable(pack(b"\n" * (70 << 20)), r"line \d+ \(byte \d+\) of its text: it expands more than 200"),
    }


GZIPPED = {
    **packed(in_gzip, -6),
    "length": unusable(in_gzip(STORIES)[:-1] + b"\x01"),
    "zeros-behind": Dirt(in_gzip(GOOD) + b"\0" * 512, ["good"]),
    "with-a-name": Dirt(
        b"\x1f\x8b\x08\x08" + bytes(6) + b"../../etc/passwd\0" + zlib.compress(GOOD)[2:-4]
        + struct.pack("<II", zlib.crc32(GOOD), len(GOOD)),
        ["good"],
    ),
}  # fmt: skip
"""The name that a gzip file holds is never looked at."""

ZSTANDARD = {
    **packed(in_zstandard, -2),
    "skippable": Dirt(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + in_zstandard(GOOD), ["good"]),
    "huge-window": unusable(b"\x28\xb5\x2f\xfd\x00\xa8" + in_zstandard(GOOD)[6:]),
    "unknown-dictionary": unusable(b"\x28\xb5\x2f\xfd\x01\x58\x77" + in_zstandard(GOOD)[6:]),
}

FILES: dict[str, Dirt] = {
    **{f"{name}.jsonl": dirt for name, dirt in {**BAD_LINES, **ODD_LINES}.items()},
    **{f"{name}.txt": dirt for name, dirt in TEXTS.items()},
    **{f"{name}.jsonl.gz": dirt for name, dirt in GZIPPED.items()},
    **{f"{name}.jsonl.zst": dirt for name, dirt in ZSTANDARD.items()},
}
