import platform

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.optim import AdamWConfig, build_optimizer
from lilliput.training.loop import train
from lilliput.training.memory import checkpoint_activations, keep_freed_memory


def trained(model, batches):
    optimizer = build_optimizer(model, AdamWConfig(lr=1e-2))
    rest = {"done": 0, "total": 3, "micro_batch_size": 4, "clip": 1.0, "seed": 1}
    return [step.loss.item().hex() for step in train(model, optimizer, batches, lambda _: 1.0, **rest)]


def test_computing_activations_again_changes_no_bit_even_with_dropout(build, batches):
    plain, frugal = build(dropout=0.4), build(dropout=0.4)
    checkpoint_activations(frugal)
    assert trained(plain, batches) == trained(frugal, batches)


def test_blocks_run_twice_in_an_update_and_once_without_gradients(build, batches):
    model = build()
    passes = []
    model.blocks[0].up.register_forward_hook(lambda *_: passes.append(model.training))
    checkpoint_activations(model)
    rest = {"done": 0, "total": 1, "micro_batch_size": 6, "clip": 1.0, "seed": 1}
    next(train(model, build_optimizer(model, AdamWConfig()), batches, lambda _: 1.0, **rest))
    assert len(passes) == 2


def test_names_stay(build):
    model = build()
    names = [name for name, _ in model.named_parameters()]
    checkpoint_activations(model)
    assert [name for name, _ in model.named_parameters()] == names


def test_a_family_without_blocks_is_refused(build):
    model = build()
    del model.blocks
    with pytest.raises(LilliputError, match="no list of blocks") as refusal:
        checkpoint_activations(model)
    assert refusal.value.code == Exit.RECIPE


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_glibc_takes_each_of_our_wishes_for_freed_memory():
    assert keep_freed_memory()
