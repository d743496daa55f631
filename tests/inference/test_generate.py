from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

import pytest
import torch

from lilliput.inference.generate import generate, stream, unread, window_start
from lilliput.inference.sampling import SamplingConfig
from lilliput.models.modern import ModernConfig
from lilliput.models.weights import build_model
from lilliput.nn import packed as packing
from lilliput.nn.packed import forget
from lilliput.tokens.bytes import END, ByteTokenizer

PROMPTS = ["Once upon a time", "", "The cat", "é", "a rather longer prompt than the others are"]
TOKENIZER = ByteTokenizer()


@pytest.fixture
def model(fading):
    return fading(256, positions=200)


def scripted(model, *script: int):
    """Make the model say these ids in turn, then `end`, whatever it reads."""
    say = iter([*script, *[END] * 100])

    def head(features):
        logits = torch.zeros(features.shape[0], 256)
        logits[:, next(say)] = 50.0
        return logits

    model.head.forward = head
    return model


def texts(model, prompts=PROMPTS, samples=1, batch_size=16, **config):
    done = generate(model, TOKENIZER, prompts, SamplingConfig(**config), samples=samples, batch_size=batch_size)
    return [completion.ids for completion in done]


@pytest.mark.parametrize("config", [{"greedy": True}, {"seed": 4}, {"seed": 4, "repetition_penalty": 1.4}])
def test_unequal_prompts_side_by_side_write_what_each_writes_alone(model, config):
    together = texts(model, max_tokens=60, **config)
    assert together == [texts(model, [prompt], max_tokens=60, **config)[0] for prompt in PROMPTS]
    assert len({ids[:9] for ids in together}) == len(PROMPTS)


def test_a_sample_does_not_depend_on_how_many_are_drawn_or_how_they_are_batched(model):
    many = texts(model, ["Ten"], samples=5, seed=1)
    assert many[:2] == texts(model, ["Ten"], samples=2, seed=1, batch_size=1)
    assert len(set(many)) == 5
    assert many != texts(model, ["Ten"], samples=5, seed=2)


def test_past_the_positions_the_window_slides_and_a_batch_still_equals_one_by_one(fading):
    model = fading(256, positions=24)
    together = texts(model, greedy=True, max_tokens=70)
    assert together == [texts(model, [prompt], greedy=True, max_tokens=70)[0] for prompt in PROMPTS]
    assert max(map(len, together)) == 70
    assert max(width for _, width in model.calls) <= 24


@pytest.mark.parametrize("positions", [1, 2, 7, 8])
def test_a_window_fits_the_positions_and_never_moves_back(positions):
    starts = [window_start(length, positions) for length in range(1, 50)]
    assert all(0 < length - start <= positions for length, start in enumerate(starts, 1))
    assert starts == sorted(starts)
    assert starts[:positions] == [0] * positions


def test_a_model_without_a_limit_keeps_everything():
    assert window_start(10**6, None) == 0


def test_each_step_reads_one_token_per_row(model):
    texts(model, ["abc", "de"], greedy=True, max_tokens=20)
    assert model.calls == [(2, 4)] + [(2, 1)] * 19


def test_an_overlong_prompt_is_read_from_its_tail_and_the_rest_is_counted(fading):
    model = fading(256, positions=24)
    prompt = "".join(chr(97 + i % 26) for i in range(100))
    left_out = unread(model, TOKENIZER, prompt)
    assert 100 - 24 <= left_out <= 100 - 12
    assert unread(model, TOKENIZER, "short") == 0
    [one] = texts(model, [prompt], greedy=True, max_tokens=5)
    [other] = texts(model, ["X" * left_out + prompt[left_out:]], greedy=True, max_tokens=5)
    assert one == other


def test_pieces_are_whole_characters_and_join_to_the_text(model):
    spoken = "né 漢字 🎉!"
    pieces = list(stream(scripted(model, *spoken.encode()), TOKENIZER, ["x"], SamplingConfig()))
    assert "".join(piece.text for piece in pieces) == spoken
    assert [piece.text for piece in pieces if piece.text] == list(spoken)
    assert b"".join(bytes(piece.ids) for piece in pieces) == spoken.encode()
    assert [piece.reason for piece in pieces if piece.reason] == ["end"]


def test_a_character_cut_by_the_limit_shows_as_a_replacement_and_keeps_its_bytes(model):
    [done] = generate(scripted(model, *"é".encode()), TOKENIZER, ["x"], SamplingConfig(max_tokens=1))
    assert (done.text, done.ids, done.reason) == ("\ufffd", (0xC3,), "length")


def test_a_stop_text_across_token_borders_ends_the_sample_and_is_not_shown(model):
    config = SamplingConfig(stop=("\n\n", "END"))
    pieces = list(stream(scripted(model, *b"one\ntwo\n\nthree"), TOKENIZER, ["x"], config))
    assert "".join(piece.text for piece in pieces) == "one\ntwo"
    assert pieces[-1].reason == "stop"


def test_a_stop_text_that_never_completes_is_shown_at_the_end(model):
    [done] = generate(scripted(model, *b"one\n"), TOKENIZER, ["x"], SamplingConfig(stop=("\n\n",)))
    assert (done.text, done.reason) == ("one\n", "end")


def test_the_limit_ends_a_sample(model):
    assert [len(ids) for ids in texts(model, ["x"], greedy=True, max_tokens=3)] == [3]


def test_begin_is_never_chosen_though_its_logit_is_highest(model):
    scripted(model, TOKENIZER.begin)
    assert texts(model, ["x"], greedy=True, max_tokens=1)[0][0] != TOKENIZER.begin


def test_a_penalty_does_not_keep_a_text_from_ending_where_begin_and_end_are_one_id(model):
    class OneId(ByteTokenizer):
        begin = END

    def head(features):
        logits = torch.zeros(features.shape[0], 256)
        logits[:, END], logits[:, 97] = 4.0, 3.0
        return logits

    model.head.forward = head
    config = SamplingConfig(greedy=True, repetition_penalty=2.0, max_tokens=5)
    [completion] = generate(model, OneId(), ["x"], config)
    assert (completion.text, completion.reason) == ("", "end")


def test_a_penalty_keeps_a_greedy_model_from_saying_the_same_token_again(model):
    model.head.forward = lambda features: torch.linspace(1, 0, 256).expand(features.shape[0], 256)
    assert len(set(texts(model, ["x"], greedy=True, max_tokens=40, repetition_penalty=100.0)[0])) == 40
    assert len(set(texts(model, ["x"], greedy=True, max_tokens=40)[0])) <= 1


def test_neither_global_random_state_nor_training_mode_changes(model):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    model.train()
    writing = stream(model, TOKENIZER, ["x"], SamplingConfig(max_tokens=5))
    next(writing)
    assert torch.is_grad_enabled()
    writing.close()
    assert model.training
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("was_training", [True, False])
def test_packed_weights_are_gone_after_writing_in_a_pause_of_training(was_training, monkeypatch):
    model = build_model(ModernConfig(dim=32, num_layers=1, num_heads=2, ffn_dim=48, max_positions=40), 256, seed=0)
    kept = monkeypatch.setattr(packing, "_kept", found := WeakKeyDictionary()) or found
    writing = stream(model.train(was_training), TOKENIZER, ["x"], SamplingConfig(max_tokens=4))
    next(writing)
    assert list(kept) == [model]
    writing.close()
    assert bool(kept) != was_training


def test_two_threads_write_with_one_model_at_once():
    model = build_model(ModernConfig(dim=32, num_layers=2, num_heads=2, ffn_dim=48, max_positions=200), 256, seed=0)
    model.eval()
    jobs = [{"prompts": [prompt], "seed": seed, "max_tokens": 60} for prompt in PROMPTS for seed in (1, 2)]
    alone = [texts(model, **job) for job in jobs]
    forget(model)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda job: texts(model, **job), jobs)) == alone


@pytest.fixture(scope="module")
def modern():
    config = ModernConfig(dim=32, num_layers=2, num_heads=2, ffn_dim=48, max_positions=40)
    model = build_model(config, vocab_size=256, seed=0).double()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():  # zero-initialised projections would hide what attention sees
        for parameter in model.parameters():
            parameter.normal_(std=0.3, generator=draw)
    return model


@pytest.mark.parametrize("max_tokens", [20, 90])
def test_a_decoder_writes_the_same_in_a_padded_batch_and_alone(modern, max_tokens):
    together = texts(modern, greedy=True, max_tokens=max_tokens)
    assert together == [texts(modern, [prompt], greedy=True, max_tokens=max_tokens)[0] for prompt in PROMPTS]
    assert len(set(together)) == len(PROMPTS)


def test_cached_decoding_writes_what_reading_everything_again_writes(modern):
    [written] = texts(modern, ["Once"], greedy=True, max_tokens=30)
    ids = [TOKENIZER.begin, *b"Once"]
    for token in written:
        with torch.no_grad():
            logits = modern.head(modern(torch.tensor([ids])).features[0, -1])
        logits[TOKENIZER.begin] = -torch.inf
        assert int(logits.argmax()) == token
        ids.append(token)
