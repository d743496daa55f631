"""Tensor files from anybody: mutated ones are refused or read within time and memory, shortened ones are an error."""

import os
import random
import struct
import time
import tracemalloc

import numpy as np
import pytest

from lilliput.runs.damage import Damaged
from lilliput.runs.tensors import read_tensors, write_tensors

PIECES = [
    *(b"", b"\0", b"\xff", b" ", b"-", b"0", b"1", b"9" * 20, b"9" * 400),
    *(b"[", b"]", b"{", b"}", b'"', b"1e9", b",", b":"),
    *(b"BOOL", b"F64", b"BF16", b"null", b"true", b"NaN", b"18446744073709551616", b"9223372036854775807", b"0.5"),
    *(b"[" * 3000, b'{"a":' * 3000, b"[]," * 3000, b'"__metadata__":{},', b'"x":{"dtype":"U8","shape":[0],'),
    *(b'"data_offsets":[0,0]', b"\\ud800", b"PK\x03\x04", b"\x80\x04\x95", b"\x7fELF", b"\x1f\x8b"),
]
"""What mutations put in: numbers that overflow, deep and long JSON, other formats' beginnings."""
LENGTHS = [0, 1, 2, 300, 1 << 24, 1 << 40, (1 << 64) - 1]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    arrays = {
        "x": ("F32", np.arange(15, dtype="<f4").reshape(3, 5)),
        "y": ("BOOL", np.ones((3, 5), bool)),
        "z": ("I64", np.zeros((0, 2), "<i8")),
    }
    path = tmp_path_factory.mktemp("sound") / "a"
    write_tensors(
        path, [(name, kind, array.shape, array.tobytes) for name, (kind, array) in arrays.items()], {"k": "v"}
    )
    return path.read_bytes()


def edited(data: bytes, draw: random.Random) -> bytes:
    """One to three edits: a bit turned, bytes replaced, taken out, put in, doubled, or the end cut off."""
    text = bytearray(data)
    for _ in range(draw.randint(1, 3)):
        place, length = draw.randrange(len(text) + 1), draw.choice([0, 1, 1, 2, 4, 8, 40])
        kind = draw.randrange(5)
        if kind == 0 and text:
            text[place % len(text)] ^= 1 << draw.randrange(8)
        elif kind == 1:
            text[place:place] = text[place : place + 60]
        elif kind == 2 and draw.random() < 0.2:
            del text[place:]
        else:
            text[place : place + length] = draw.choice(PIECES)
    return bytes(text)


def mutated(sound: bytes, draw: random.Random) -> bytes:
    """Edits anywhere, or in the header or the data with a header length that fits, or another header length."""
    first = 8 + int.from_bytes(sound[:8], "little")
    text, data, kind = sound[8:first], sound[first:], draw.randrange(10)
    if kind < 5:
        text = edited(text, draw)
    elif kind == 5:
        data = edited(data, draw)
    elif kind < 9:
        return edited(sound, draw)
    else:
        return struct.pack("<Q", draw.choice(LENGTHS)) + sound[8:]
    return struct.pack("<Q", len(text)) + text + data


def is_read(path, data: bytes) -> bool:
    """Whether a file is read; no error but Damaged, at most a second, memory of at most its size and 64 MiB."""
    path.write_bytes(data)
    tracemalloc.reset_peak()
    before, begun = tracemalloc.get_traced_memory()[0], time.monotonic()
    try:
        with read_tensors(path) as found:
            assert sum(array.nbytes for array in found.values()) <= len(data)
        read = True
    except Damaged:
        read = False
    assert time.monotonic() - begun < 1, data
    assert tracemalloc.get_traced_memory()[1] - before < len(data) + (64 << 20), data
    return read


@pytest.mark.promise("S9")
@pytest.mark.parametrize("times", [1000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_mutated_files_are_refused_or_read_within_time_and_memory(sound, in_memory, figure, times):
    draw = random.Random(times)
    tracemalloc.start()
    try:
        accepted = sum(is_read(in_memory / "mutated", mutated(sound, draw)) for _ in range(times))
    finally:
        tracemalloc.stop()
    assert times // 500 < accepted < times // 2
    figure(f"{times:,} mutated tensor files: 0 crashes, 0 over 1 s, {accepted:,} still well-formed and read")


@pytest.mark.promise("S9")
def test_a_file_that_is_shortened_at_any_moment_of_reading_is_an_error_and_no_crash(tmp_path, monkeypatch, figure):
    path, read, reads = tmp_path / "a", os.read, 0
    data = np.random.default_rng(1).integers(1, 255, 2 << 20).astype(np.uint8)
    write_tensors(path, [(name, "U8", (2 << 20,), data.tobytes) for name in ("x", "y")])
    sound, refused = path.read_bytes(), 0
    for moment in range(7):
        for length in (0, 4, 100, len(sound) // 3, len(sound) - 1):
            path.write_bytes(sound)
            reads = 0

            def shortening(descriptor, size, moment=moment, length=length):
                nonlocal reads
                reads += 1
                if reads == moment + 1:
                    os.truncate(path, length)
                return read(descriptor, size)

            monkeypatch.setattr(os, "read", shortening)
            try:
                with read_tensors(path) as found:
                    assert all(np.array_equal(found[name], data) for name in found)
            except Damaged:
                refused += 1
            monkeypatch.setattr(os, "read", read)
    figure(f"shortened at 7 moments to 5 lengths: {refused} refused, the others had been read whole")
    assert refused >= 24
