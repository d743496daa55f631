import pytest
import torch

from lilliput.config.errors import Exit, LilliputError
from lilliput.training import compilation


def test_without_a_compiler_the_refusal_names_one(build, monkeypatch):
    monkeypatch.setattr(compilation, "_compiler", lambda: None)
    with pytest.raises(LilliputError, match="compiler") as refusal:
        compilation.compile_model(build())
    assert refusal.value.code == Exit.UNAVAILABLE


def test_a_compiler_named_in_the_environment_must_exist(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert compilation._compiler() is None


def test_only_passes_of_training_are_compiled(build, monkeypatch):
    calls = []

    def compiled(forward):
        return lambda *args, **options: (calls.append("compiled"), forward(*args, **options))[1]

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(compilation, "_compiler", lambda: "g++")
    model = build()
    tokens = torch.zeros(1, 3, dtype=torch.int64)
    expected = model(tokens).features
    compilation.compile_model(model)
    assert torch.equal(model.train()(tokens).features, expected)
    assert torch.equal(model.eval()(tokens).features, expected)
    assert calls == ["compiled"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_compiled_model_trains_as_the_plain_one(build):
    if compilation._compiler() is None:
        pytest.skip("no C++ compiler")
    plain, model = build().train(), build().train()
    compilation.compile_model(model)
    tokens = torch.randint(13, (2, 8))
    assert torch.allclose(model(tokens).features, plain(tokens).features, atol=1e-5)
