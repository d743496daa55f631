from lilliput.runs.run import Run
from lilliput.stages.begin import train_run
from lilliput.stages.events import Warned
from lilliput.stages.tokenizer import remarks
from lilliput.tokens.bpe import BPEConfig, train_bpe
from lilliput.tokens.bytes import ByteTokenizer

WORDS = [
    *["data.sources=tiny", "tokenizer={kind: bpe, size: 600}", "training.length={steps: 1}"],
    *["training.batch_size=1", "training.micro_batch_size=1", "training.context_length=32"],
    *["training.precision=fp32", "training.threads=1", "rhythm={validate_every: 0}"],
    "model={family: modern, dim: 16, num_layers: 1, num_heads: 2, ffn_dim: 16}",
]


def test_a_tokenizer_that_is_slow_or_not_filled_is_remarked_on_and_others_are_not():
    full = train_bpe(BPEConfig(size=258), lambda: ["the cat and the hat and the rat"] * 9)
    assert [*remarks(full), *remarks(ByteTokenizer())] == []
    full.use("tokenizers")
    [slow] = remarks(full)
    assert "slower" in slow
    [unused] = remarks(train_bpe(BPEConfig(size=400), lambda: ["few words"]))
    assert "of 400 stay unused" in unused


def test_a_run_warns_of_ids_that_its_text_did_not_fill_and_its_log_says_so(tmp_path):
    run = Run.begin(str(tmp_path / "run"))
    told = list(train_run(run, "lab/nano", WORDS))
    run.lock.release()
    [warned] = [event.message for event in told if isinstance(event, Warned)]
    assert "of 600 stay unused" in warned
    assert warned in run.train_log.read_text(encoding="utf-8")
