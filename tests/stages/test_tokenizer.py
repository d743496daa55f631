import json

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from lilliput.runs.run import Run
from lilliput.stages.begin import train_run
from lilliput.stages.events import Warned
from lilliput.stages.tokenizer import remarks
from lilliput.tokens.bpe import BPEConfig, train_bpe
from lilliput.tokens.byte_level import byte_letters
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


def test_a_run_warns_where_ids_do_not_spell_the_text_byte_for_byte(tmp_path):
    letters = {letter: number for number, letter in enumerate([*byte_letters(), "<end>"])}
    inner = Tokenizer(models.BPE(letters, []))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    inner.add_special_tokens(["<end>"])
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>"}), encoding="utf-8")
    warnings = []
    for normalizer in (None, normalizers.Replace("e", "")):
        if normalizer:
            inner.normalizer = normalizer
        (tmp_path / "tokenizer.json").write_text(inner.to_str(), encoding="utf-8")
        run = Run.begin(str(tmp_path / f"run-{len(warnings)}"))
        told = train_run(run, "lab/nano", [*WORDS, f"tokenizer={{kind: hub, name: {tmp_path}}}"])
        warnings.append([event.message for event in told if isinstance(event, Warned)])
        run.lock.release()
    assert warnings[0] == []
    [warned] = warnings[1]
    assert "near, not exact" in warned
