"""Checkpoints: all or nothing when written, every byte verified before use, never retired too early."""

import json
import os
import random
import shutil

import numpy as np
import pytest
from tests.faults.harms import HARMS

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import checkpoints, durable
from lilliput.runs.checkpoints import MANIFEST, MODEL, STATE
from lilliput.runs.damage import Damaged
from lilliput.runs.faults import faults
from lilliput.runs.sealed import seal
from lilliput.runs.tensors import write_tensors


def save(folder, step, **manifest):
    def write(target):
        values = np.full(300, step, np.float32)
        model = write_tensors(target / MODEL, [("w", "F32", (300,), values.tobytes)])
        return {MODEL: model, STATE: durable.write_new(target / STATE, json.dumps({"step": step}).encode())}

    return checkpoints.commit(folder, step, write, {"run": "r", **manifest})


def steps(folder):
    return [step for step, _ in checkpoints.listing(folder)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


@pytest.fixture
def fault():
    yield faults.reset
    faults.reset()


def test_the_newest_is_found_with_its_manifest_and_its_lineage(folder):
    save(folder, 3)
    parent = checkpoints.verify(checkpoints.listing(folder)[0][1])["sha256"]
    path = save(folder, 12, best=1.5)
    found = checkpoints.newest(folder, run="r")
    assert (found.path, found.problems) == (path, []) and path.name == "step-00000012"
    assert found.manifest | {"step": 12, "sequence": 2, "parent": parent, "best": 1.5, "run": "r"} == found.manifest


def test_a_folder_without_checkpoints_is_a_fresh_start(folder):
    assert checkpoints.newest(folder).path is None
    folder.mkdir()
    assert checkpoints.newest(folder).path is None


def test_order_is_the_digits_and_nothing_else(folder):
    for step in (99_999_999, 100_000_000, 7):
        os.utime(save(folder, step), (step % 5, step % 3))
    assert steps(folder) == [7, 99_999_999, 100_000_000]
    for name in ("step-7", "step-0000000x", "step-00000009.tmp", "latest"):
        (folder / name).mkdir()
    assert len(steps(folder)) == 3


def test_a_step_committed_again_replaces_the_first_only_once_it_is_there(folder):
    first, second, third = (save(folder, 5) for _ in range(3))
    assert [path.name for path in (first, second, third)] == ["step-00000005", "step-00000005-2", "step-00000005-3"]
    assert checkpoints.newest(folder).path == third
    assert checkpoints.retain(folder, 1, set()) == []
    assert [path for _, path in checkpoints.listing(folder)] == [third]


def test_a_writer_that_fails_leaves_the_folder_as_it_was(folder):
    save(folder, 1)

    def write(target):
        durable.write_new(target / MODEL, b"half")
        raise MemoryError

    with pytest.raises(MemoryError):
        checkpoints.commit(folder, 2, write)
    assert [path.name for path in folder.iterdir()] == ["step-00000001"]


@pytest.mark.parametrize("kind", ["ENOSPC", "EDQUOT", "EIO"])
def test_an_error_of_the_disk_at_any_call_costs_only_that_attempt(tmp_path, fault, kind):
    calls = []
    fault("", calls)
    save(tmp_path / "count", 1)
    for number in range(1, len(calls) + 1):
        folder = tmp_path / f"{kind}-{number}"
        folder.mkdir()
        save(folder, 1)
        fault(f"{kind}@{number}")
        try:
            save(folder, 2)
        except OSError:
            fault()
            assert checkpoints.newest(folder).path is not None
            save(folder, 2)
        fault()
        assert checkpoints.newest(folder).manifest["step"] == 2
        assert all(path.name.startswith("step-") for path in folder.iterdir())


def damage_and_recover(folder, harm):
    """True if the harm was noticed, set aside with a reason, and the one before found."""
    newest = checkpoints.listing(folder)[-1][1]
    harm(newest)
    found = checkpoints.newest(folder, run="r")
    aside = [path for path in folder.iterdir() if path.name.startswith(".bad-")]
    return found.manifest["step"] == 1 and len(found.problems) == 1 and len(aside) == 1 and not newest.exists()


def pair(folder):
    shutil.rmtree(folder, ignore_errors=True)
    save(folder, 1)
    save(folder, 2)


def test_no_flipped_bit_is_ever_used(folder):
    draw = random.Random(1)
    save(folder, 1)
    path = save(folder, 2)
    for name in (MODEL, STATE, MANIFEST):
        sound = (path / name).read_bytes()
        for _ in range(150):
            place, bit = draw.randrange(len(sound)), draw.randrange(8)
            flipped = bytearray(sound)
            flipped[place] ^= 1 << bit
            (path / name).write_bytes(flipped)
            with pytest.raises(Damaged):
                checkpoints.verify(path)
        (path / name).write_bytes(sound)
    assert checkpoints.verify(path)["step"] == 2


def test_no_truncated_or_zeroed_file_is_ever_used(folder):
    draw = random.Random(2)
    path = save(folder, 2)
    for name in (MODEL, STATE, MANIFEST):
        sound = (path / name).read_bytes()
        for _ in range(100):
            cut = draw.randrange(len(sound))
            for harmed in (sound[:cut], sound[:cut] + bytes(len(sound) - cut)):
                (path / name).write_bytes(harmed)
                if harmed.rstrip() != sound.rstrip():  # the last newline carries nothing
                    with pytest.raises(Damaged):
                        checkpoints.verify(path)
        (path / name).write_bytes(sound)


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_checkpoint_is_set_aside_with_its_reason_and_the_one_before_is_used(folder, harm):
    pair(folder)
    assert damage_and_recover(folder, HARMS[harm])


def test_the_reason_lies_beside_what_was_set_aside(folder):
    pair(folder)
    damage_and_recover(folder, HARMS["a file missing"])
    assert (folder / ".bad-step-00000002-1" / "REASON").read_text().startswith(MODEL)


def test_reading_without_the_lock_changes_nothing(folder):
    pair(folder)
    (folder / ".tmp-3-1-abcd-0").mkdir()
    (folder / "step-00000002" / MODEL).unlink()
    before = sorted(path.name for path in folder.iterdir())
    assert checkpoints.newest(folder, repair=False).manifest["step"] == 1
    assert sorted(path.name for path in folder.iterdir()) == before


def test_where_every_checkpoint_is_damaged_nothing_starts_from_zero(folder):
    pair(folder)
    for path in folder.iterdir():
        (path / MODEL).unlink()
    for _ in range(2):  # the second time they already lie aside
        with pytest.raises(LilliputError) as caught:
            checkpoints.newest(folder)
        assert caught.value.code is Exit.MISSING
        assert "step-00000001" in caught.value.cause and "step-00000002" in caught.value.cause


def test_a_newer_format_is_neither_used_nor_set_aside(folder):
    path = save(folder, 1)
    document = json.loads((path / MANIFEST).read_text()) | {"format": checkpoints.FORMAT + 1, "unheard": "of"}
    (path / MANIFEST).write_bytes(seal(document))
    with pytest.raises(LilliputError) as caught:
        checkpoints.newest(folder)
    assert caught.value.code is Exit.UNAVAILABLE and path.exists()


def test_a_checkpoint_of_another_run_is_neither_used_nor_retired(folder):
    save(folder, 1)
    foreign = save(folder, 9, run="other")
    found = checkpoints.newest(folder, run="r")
    assert found.manifest["step"] == 1 and "another run" in found.problems[0]
    save(folder, 2)
    assert checkpoints.retain(folder, 1, set(), run="r") == [1]
    assert foreign.exists()


def test_retention_keeps_the_newest_and_the_pinned(folder):
    for step in range(1, 7):
        save(folder, step)
    assert checkpoints.retain(folder, 2, {1, 3, 99}) == [2, 4]
    assert steps(folder) == [1, 3, 5, 6]
    assert checkpoints.retain(folder, 0, set()) == [1, 3, 5]
    assert steps(folder) == [6]


def test_a_rolling_checkpoint_is_replaced_by_the_next_and_not_counted(folder):
    for step, rolling in ((1, False), (2, False), (3, True), (4, True), (5, False), (6, True)):
        save(folder, step, rolling=rolling)
        checkpoints.retain(folder, 2, set())
    assert steps(folder) == [2, 5, 6]


def test_retention_never_removes_the_last_intact_checkpoint(folder):
    for step in (1, 2, 3):
        save(folder, step)
    for step in (2, 3):
        (folder / f"step-0000000{step}" / MODEL).write_bytes(b"")
    checkpoints.retain(folder, 1, set())
    assert checkpoints.newest(folder).manifest["step"] == 1
