import io
import json
import re
from types import SimpleNamespace

import pytest

from lilliput.cli import main
from lilliput.inference.sampling import SamplingConfig
from lilliput.models.modern import ModernConfig
from lilliput.models.weights import build_model
from lilliput.stages import opened as stage
from lilliput.stages.writing import Examination
from lilliput.tokens.bytes import ByteTokenizer


@pytest.fixture(autouse=True)
def words(monkeypatch):
    """Any word opens the same small untrained model."""
    model = build_model(ModernConfig(dim=16, num_layers=1, num_heads=2, ffn_dim=16, max_positions=32), 256, seed=0)
    known = SimpleNamespace(model=model, tokenizer=ByteTokenizer(), name="small@0")
    monkeypatch.setattr(stage, "open_model", lambda word, device: known)


def typed(monkeypatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def texts(capsys, *options: str) -> list[dict]:
    assert main(["generate", "small", "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)["texts"]


def test_help_states_the_defaults_of_sampling(capsys):
    assert main(["generate", "--help"]) == 0
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for name in ("max_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed"):
        option = shown.rindex(f"--{name.replace('_', '-')} ")
        assert f"[default: {getattr(SamplingConfig(), name)}]" in shown[option : option + 160]
    assert "Example: lilliput generate" in shown


def test_samples_and_prompts_multiply_and_options_reach_the_sampling(capsys, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("one\n\ntwo\n", encoding="utf-8")
    found = texts(capsys, "--prompt-file", str(prompts), "--prompt", "zero", "--num-samples", "3", "--max-tokens", "4")
    assert [(text["prompt"], text["sample"]) for text in found] == [
        (prompt, sample) for prompt in ("zero", "one", "two") for sample in range(3)
    ]
    assert all(text["tokens"] <= 4 for text in found)


def test_every_option_of_sampling_is_taken(capsys):
    options = {"max_tokens": 7, "temperature": 0.7, "top_k": 9, "top_p": 0.8, "min_p": 0.01, "seed": 3}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    words += ["--repetition-penalty", "1.2", "--greedy", "--stop", "q", "--stop", "x y"]
    assert main(["generate", "small", "--json", *words]) == 0
    given = {**options, "repetition_penalty": 1.2, "greedy": True, "stop": ["q", "x y"]}
    assert json.loads(capsys.readouterr().out)["sampling"] == given


def test_a_seed_repeats_and_another_differs(capsys):
    first, again, other = (texts(capsys, "--prompt", "x", "--seed", seed) for seed in ("1", "1", "2"))
    assert first == again != other


def test_texts_go_to_the_output_file_and_nothing_else_to_stdout(capsys, tmp_path):
    target = tmp_path / "outputs.txt"
    assert main(["generate", "small", "--prompt", "Hello", "--num-samples", "2", "--output-file", str(target)]) == 0
    assert target.read_text(encoding="utf-8").count("Hello") == 2
    assert capsys.readouterr().out == ""


def test_a_report_says_what_the_texts_show(capsys, monkeypatch):
    found = Examination(utf8_validity=0.987, distinct=0.5, repetition=0.25, verbatim="of the sea", compared=12345)
    monkeypatch.setattr("lilliput.stages.writing.examine", lambda opened, written: found)
    assert main(["generate", "small", "--prompt", "Hello", "--report"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("98.7%", "50.0%", "25.0%", "10 characters", "12,345", "'of the sea'"))
    assert main(["generate", "small", "--prompt", "Hello", "--report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"]["verbatim"] == "of the sea"


def test_one_text_is_shown_after_its_prompt(capsys):
    assert main(["generate", "small", "--prompt", "Hello"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("Hello")
    assert "tokens/s" in shown.err


def test_no_control_byte_of_a_text_reaches_the_terminal(capsys):
    main(["generate", "small", "--prompt", "\x1b[31mred\x07", "--temperature", "3", "--top-k", "0"])
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", capsys.readouterr().out)


def test_an_overlong_prompt_is_read_from_its_tail_with_a_notice(capsys):
    assert main(["generate", "small", "--prompt", "x" * 100]) == 0
    assert "are not read, since the model has 32 positions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--top-p", "1.5"], 2, "top_p"),
        (["--max-tokens", "0"], 2, "max_tokens"),
        (["--num-samples", "0"], 2, "num-samples"),
        (["--prompt-file", "absent.txt"], 66, "absent.txt"),
        (["--output-file", "absent/folder.txt", "--max-tokens", "1"], 66, "absent"),
        (["--output-file", ".", "--max-tokens", "1"], 73, "is a folder"),
        (["--temprature", "1"], 2, "--temperature"),
    ],
)
def test_a_wrong_option_is_one_line_of_cause_and_one_of_action(capsys, options, code, said):
    assert main(["generate", "small", *options]) == code
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: ")
    assert said in lines[0]
    assert lines[-1].startswith("hint: ")


@pytest.mark.parametrize("content", [b"\n \n", b"caf\xe9\n"])
def test_a_prompt_file_without_a_prompt_or_of_another_encoding_is_an_error(capsys, tmp_path, content):
    path = tmp_path / "prompts.txt"
    path.write_bytes(content)
    assert main(["generate", "small", "--prompt-file", str(path)]) == 65


def test_a_dialogue_writes_answers_and_leaves_at_the_end_of_input(capsys, monkeypatch):
    typed(monkeypatch, "/max 5\nOnce\n\n/temp x\n/stats\nOnce\n")
    assert main(["generate", "small", "--interactive", "--temperature", "2"]) == 0
    shown = capsys.readouterr()
    said = [line for line in shown.out.splitlines() if line.startswith("Once")]
    assert len(said) == 2
    assert said[0] != said[1], "the same prompt again writes another text"
    assert "/temp wants a number" in shown.err
    assert "max_tokens 5" in shown.err


def test_a_dialogue_ends_at_quit(capsys, monkeypatch):
    typed(monkeypatch, "/quit\nnever written\n")
    assert main(["generate", "small", "--interactive"]) == 0
    assert "never written" not in capsys.readouterr().out


def test_ctrl_c_stops_a_text_and_then_leaves(capsys, monkeypatch):
    def stopping(*args, **kwargs):
        yield SimpleNamespace(text="half", ids=(1,), reason=None)
        raise KeyboardInterrupt

    monkeypatch.setattr("lilliput.inference.generate.stream", stopping)
    typed(monkeypatch, "Once\n/stats\n")
    assert main(["generate", "small", "--interactive"]) == 0
    assert "stopped by Ctrl-C" in capsys.readouterr().err
    assert main(["generate", "small", "--prompt", "Once"]) == 130
