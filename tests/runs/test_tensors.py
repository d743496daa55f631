"""Tensor files: equal to what the safetensors package writes and reads, and closed to every malformed header."""

import json
import os
import struct
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.runs.damage import Damaged
from lilliput.runs.tensors import DTYPES, read_tensors, write_tensors

PLAIN = [name for name in DTYPES if name != "BF16"]


def example(dtype, shape=(3, 5)):
    return np.random.default_rng(7).integers(0, 2, shape).astype(DTYPES[dtype])


def write(path, arrays, metadata=None):
    tensors = [(name, dtype, array.shape, array.tobytes) for name, (dtype, array) in arrays.items()]
    return write_tensors(path, tensors, metadata)


def test_what_we_write_the_safetensors_package_reads(tmp_path):
    arrays = {name.lower(): (name, example(name)) for name in PLAIN} | {"none": ("F32", example("F32", (0, 4)))}
    arrays["number"] = ("F64", np.array(3.5))
    write(tmp_path / "a", arrays, {"kind": "test"})
    theirs = safetensors.numpy.load_file(tmp_path / "a")
    assert theirs.keys() == arrays.keys()
    for name, (_, array) in arrays.items():
        assert theirs[name].dtype == array.dtype and np.array_equal(theirs[name], array)


def test_what_the_safetensors_package_writes_we_read(tmp_path):
    arrays = {name.lower(): example(name) for name in PLAIN}
    safetensors.numpy.save_file(arrays, tmp_path / "a", {"kind": "test"})
    with read_tensors(tmp_path / "a") as ours:
        assert ours.metadata == {"kind": "test"} and set(ours) == set(arrays)
        for name, array in arrays.items():
            assert ours[name].dtype == array.dtype and np.array_equal(ours[name], array)


def test_bfloat16_keeps_its_name_and_its_bits(tmp_path):
    bits = np.arange(6, dtype=np.uint16).reshape(2, 3)
    write(tmp_path / "a", {"x": ("BF16", bits)})
    with read_tensors(tmp_path / "a") as ours:
        assert ours.entries["x"].dtype == "BF16" and np.array_equal(ours["x"], bits)


def test_only_one_tensor_at_a_time_is_held_while_writing(tmp_path):
    def produce():
        return np.zeros(1 << 20, np.uint8)

    tracemalloc.start()
    write_tensors(tmp_path / "a", [(f"x{i}", "U8", (1 << 20,), produce) for i in range(8)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 << 20


def test_a_wrong_size_or_a_repeated_name_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="needs 12"):
        write_tensors(tmp_path / "a", [("x", "F32", (3,), lambda: b"12345678")])
    with pytest.raises(ValueError, match="two tensors"):
        write_tensors(tmp_path / "a", [("x", "U8", (1,), lambda: b"1")] * 2)
    assert not list(tmp_path.iterdir())


def test_a_changed_byte_is_noticed_through_the_hash(tmp_path):
    record = write(tmp_path / "a", {"x": ("F32", example("F32"))})
    read_tensors(tmp_path / "a", sha256=record.sha256).close()
    data = bytearray((tmp_path / "a").read_bytes())
    data[-1] ^= 1
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(Damaged, match="hash"):
        read_tensors(tmp_path / "a", sha256=record.sha256)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path):
    write(tmp_path / "a", {"x": ("F32", example("F32"))})
    with read_tensors(tmp_path / "a") as ours:
        os.truncate(tmp_path / "a", 90)
        with pytest.raises(Damaged, match="shrank"):
            ours["x"]


def crafted(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape, start, end, dtype="F32", **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end], **more}


MALFORMED = {
    "nothing": b"",
    "seven bytes": b"\0" * 7,
    "header longer than the file": crafted({}, length=1 << 40),
    "header above 16 MiB": crafted(b"{" + b" " * (16 << 20) + b"}"),
    "no object": crafted([]),
    "leading space": crafted(b' {"x":1}'),
    "not UTF-8": crafted(b'{"\xff":{}}'),
    "lone surrogate": crafted(b'{"\\ud800":' + json.dumps(tensor([1], 0, 4)).encode() + b"}", b"1234"),
    "key twice": crafted(b'{"x":%s,"x":%s}' % ((json.dumps(tensor([1], 0, 4)).encode(),) * 2), b"1234"),
    "deep": crafted(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a million lists": crafted(b'{"x":[' + b"[]," * 1_000_000 + b"[]]}"),
    "huge integer": crafted(b'{"x":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,4]}}', b"1234"),
    "product overflows": crafted({"x": tensor([1 << 32, 1 << 32, 4], 0, 4)}, b"1234"),
    "empty with impossible shape": crafted({"x": tensor([0, 1 << 62, 1 << 62], 0, 0)}),
    "empty with too many bytes": crafted({"x": tensor([0, (1 << 62) - 1], 0, 0, "I64")}),
    "negative length": crafted({"x": tensor([-1, -1], 0, 4)}, b"1234"),
    "negative offset": crafted({"x": tensor([1], -4, 0)}, b"1234"),
    "boolean length": crafted({"x": tensor([True], 0, 4)}, b"1234"),
    "float offset": crafted(b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4.0]}}', b"1234"),
    "infinite offset": crafted(b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,Infinity]}}', b"1234"),
    "offset 10^30": crafted({"x": tensor([1], 10**30, 10**30 + 4)}, b"1234"),
    "three offsets": crafted({"x": {**tensor([1], 0, 4), "data_offsets": [0, 4, 8]}}, b"1234"),
    "end before start": crafted({"x": tensor([1], 4, 0)}, b"1234"),
    "unknown dtype": crafted({"x": tensor([1], 0, 4, "F33")}, b"1234"),
    "dtype a list": crafted({"x": tensor([1], 0, 4, ["F32"])}, b"1234"),
    "unknown key": crafted({"x": tensor([1], 0, 4, more=1)}, b"1234"),
    "overlap": crafted({"x": tensor([2], 0, 8), "y": tensor([2], 4, 12)}, b"1234" * 3),
    "hole": crafted({"x": tensor([1], 0, 4), "y": tensor([1], 8, 12)}, b"1234" * 3),
    "late start": crafted({"x": tensor([1], 4, 8)}, b"1234" * 2),
    "bytes left over": crafted({"x": tensor([1], 0, 4)}, b"12345"),
    "bytes missing": crafted({"x": tensor([1], 0, 4)}, b"123"),
    "rank 17": crafted({"x": tensor([1] * 17, 0, 4)}, b"1234"),
    "metadata a list": crafted({"__metadata__": ["x"], "x": tensor([1], 0, 4)}, b"1234"),
    "metadata a number": crafted({"__metadata__": {"x": 1}, "y": tensor([1], 0, 4)}, b"1234"),
    "pickle": b"\x80\x04\x95\x0c\0\0\0\0\0\0\0\x8c\x08builtins.",
    "zip": b"PK\x03\x04" + b"\0" * 60,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused(tmp_path, name):
    (tmp_path / "a").write_bytes(MALFORMED[name])
    with pytest.raises(Damaged):
        read_tensors(tmp_path / "a")


def test_a_boolean_tensor_with_other_bytes_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(crafted({"x": tensor([2], 0, 2, "BOOL")}, b"\x01\x02"))
    with read_tensors(tmp_path / "a") as ours, pytest.raises(Damaged, match="boolean"):
        ours["x"]


def test_a_pipe_or_directory_in_the_place_of_a_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises((Damaged, OSError)):
            read_tensors(path)


def test_a_crafted_header_never_needs_much_more_memory_than_its_file(tmp_path):
    for text in (b'{"x":[' + b"1000," * (3 << 20), b'{"x":[' + b"[]," * (5 << 20), b'{"' + b'a":{"' * (3 << 20)):
        (tmp_path / "a").write_bytes(crafted(text))
        tracemalloc.start()
        with pytest.raises(Damaged):
            read_tensors(tmp_path / "a")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * len(text) + (64 << 20)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "a"
    write(
        path,
        {"x": ("F32", example("F32")), "y": ("BOOL", example("BOOL")), "z": ("I64", example("I64", (0, 2)))},
        {"k": "v"},
    )
    return path.read_bytes()


PIECES = [
    b"",
    b"\0",
    b"\xff",
    b" ",
    b"-",
    b"0",
    b"9" * 20,
    b"[",
    b"]",
    b"{",
    b'"',
    b"1e9",
    b",",
    b"BOOL",
    b"F64",
    b"null",
]
EDIT = st.tuples(st.integers(0, 300), st.integers(0, 8), st.sampled_from(PIECES))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(batch=st.lists(st.lists(EDIT, min_size=1, max_size=3), min_size=4, max_size=4))
def test_mutated_files_are_refused_or_read_within_their_bounds(sound, tmp_path_factory, batch):
    path = tmp_path_factory.getbasetemp() / "mutated"
    for edits in batch:
        mutated = bytearray(sound)
        for place, length, piece in edits:
            mutated[place : place + length] = piece
        path.write_bytes(mutated)
        try:
            with read_tensors(path) as ours:
                assert sum(array.nbytes for array in ours.values()) < len(mutated)
        except Damaged:
            pass
