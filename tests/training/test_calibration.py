import json

import pytest
import torch

from lilliput.models.mixtral import MixtralConfig
from lilliput.models.modern import ModernConfig
from lilliput.nn import kernels
from lilliput.optim import AdamWConfig, MuonConfig, build_optimizer
from lilliput.training import calibration
from lilliput.training.calibration import faster, largest_useful, remember, resolved, steps_per_minute, undisturbed
from lilliput.training.loop import train
from lilliput.training.settings import LengthConfig, TrainingConfig

MODEL = ModernConfig(dim=32, num_layers=1, num_heads=2, ffn_dim=64, max_positions=16)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path))
    return tmp_path


def fixed(**changed):
    given = {
        "length": LengthConfig(minutes=1.0),
        "batch_size": 6,
        "micro_batch_size": 4,
        "precision": "fp32",
        "threads": 1,
    }
    return TrainingConfig(**{**given, **changed})


def losses(model, optimizer, batches, done, total):
    rest = {"done": done, "total": total, "micro_batch_size": 4, "clip": 1.0, "seed": 1}
    return [step.loss.item().hex() for step in train(model, optimizer, batches, lambda _: 1.0, **rest)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("config", [AdamWConfig(lr=1e-2), MuonConfig()], ids=lambda config: config.kind)
@pytest.mark.parametrize("done", [0, 3])
def test_timing_updates_disturbs_nothing(build, batches, config, dtype, done):
    def trained(timed):
        model = build(dropout=0.3)
        optimizer = build_optimizer(model, config, dtype)
        losses(model, optimizer, batches, 0, done)
        state = torch.get_rng_state()
        if timed:
            assert steps_per_minute(model, optimizer, batches, fixed(), seed=1) > 0
        assert torch.equal(state, torch.get_rng_state())
        return losses(model, optimizer, batches, done, done + 3), model.state_dict(), optimizer

    (calm, weights, one), (timed, others, other) = trained(False), trained(True)
    assert calm == timed
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert one.updates == other.updates


def test_what_fails_inside_is_undone_too(build):
    model = build().eval()
    optimizer = build_optimizer(model, AdamWConfig())
    before = model.head.weight.detach().clone()
    with pytest.raises(ZeroDivisionError), undisturbed(model, optimizer), torch.no_grad():
        model.train()
        model.head.weight.zero_()
        raise ZeroDivisionError
    assert torch.equal(model.head.weight, before)
    assert not model.training


def test_a_measurement_is_made_once_per_machine_and_key(home):
    measured = []

    def measure():
        measured.append(len(measured))
        return len(measured)

    assert [remember("a", measure), remember("a", measure), remember("b", measure)] == [1, 1, 2]
    assert len(list((home / "calibration").glob("*.json"))) == 1


def test_the_first_writer_wins():
    def measure():
        remember("a", lambda: "first")
        return "second"

    assert remember("a", measure) == "first"
    assert remember("a", lambda: "third") == "first"


def test_a_damaged_file_is_measured_anew(home):
    remember("a", lambda: 1)
    (path,) = (home / "calibration").glob("*.json")
    for damage in (b"{", b"[]", b'{"entries": 3}', b"\xff"):
        path.write_bytes(damage)
        assert remember("a", lambda: 2) == 2
    assert json.loads(path.read_bytes())["entries"] == {"a": 2}


def test_other_versions_are_measured_for_themselves(monkeypatch):
    remember("a", lambda: 1)
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert remember("a", lambda: 2) == 2


def test_a_later_choice_has_to_be_worth_it():
    assert faster(["fp32", "bf16"], {"fp32": 1.0, "bf16": 0.99}.__getitem__) == "fp32"
    assert faster(["fp32", "bf16"], {"fp32": 1.0, "bf16": 0.5}.__getitem__) == "bf16"
    assert faster(["fp32"], {}.__getitem__) == "fp32"


def test_micro_batches_grow_while_that_costs_no_time_and_fits():
    assert largest_useful(12, lambda n: 1e-3 / n) == 12
    assert largest_useful(64, lambda n: 1e-3) == 64
    assert largest_useful(64, lambda n: 1e-3 * (1 + (n > 8))) == 8

    def limited(n):
        if n > 4:
            raise torch.OutOfMemoryError
        return 1e-3 / n

    assert largest_useful(64, limited) == 4


def test_no_long_pass_is_tried():
    tried = []
    largest_useful(64, lambda n: (tried.append(n), 0.15 / n**0.1)[1])
    assert tried == [1, 2]


def test_calibration_ends_when_its_time_is_up(monkeypatch):
    monkeypatch.setattr(calibration, "BUDGET_S", 0.0)
    assert largest_useful(64, lambda n: 1e-3 / n) == 1


def test_every_auto_becomes_a_value_and_stays_the_same(monkeypatch):
    threads = torch.get_num_threads()
    try:
        asked = fixed(micro_batch_size="auto", precision="auto", threads="auto", context_length=16)
        model = MODEL
        first = resolved(asked, model, 256)
        monkeypatch.setattr(calibration, "_seconds_per_window", None)
        assert resolved(asked, model, 256) == first
    finally:
        torch.set_num_threads(threads)
    assert "auto" not in (first.micro_batch_size, first.precision, first.threads)
    assert 1 <= first.micro_batch_size <= 6


def routed(**changed):
    given = {"dim": 32, "num_layers": 1, "num_heads": 2, "num_experts": 3, "ffn_dim": 32, "max_positions": 16}
    return MixtralConfig(**given | changed)


@pytest.fixture
def afterwards():
    before = kernels.kernels()
    yield
    kernels.use(before)


@pytest.mark.usefixtures("afterwards")
@pytest.mark.parametrize("fast", ["grouped", "sliced"])
def test_experts_get_the_faster_form_and_keep_it(monkeypatch, fast):
    forms = []

    def seconds(*_):
        forms.append(kernels.kernels().experts)
        return 1.0 if forms[-1] == fast else 2.0

    monkeypatch.setattr(calibration, "_seconds_per_window", seconds)
    found = resolved(fixed(), routed(), 256)
    assert (found.expert_dispatch, sorted(forms)) == (fast, ["grouped", "sliced"])
    assert kernels.kernels().experts == found.means.experts == fast
    monkeypatch.setattr(calibration, "_seconds_per_window", None)
    assert resolved(fixed(), routed(), 256) == found
    kept = resolved(fixed(expert_dispatch="grouped"), routed(num_layers=2), 256)
    assert kept.expert_dispatch == kernels.kernels().experts == "grouped"


def test_a_family_without_experts_has_no_form_and_measures_none(monkeypatch):
    monkeypatch.setattr(calibration, "_seconds_per_window", None)
    found = resolved(fixed(), MODEL, 256)
    assert (found.expert_dispatch, found.means.experts, kernels.kernels().experts) == ("auto", None, None)


def test_a_value_that_is_given_is_not_measured(monkeypatch):
    monkeypatch.setattr(calibration, "_seconds_per_window", None)
    assert resolved(fixed(), MODEL, 256) == fixed()
