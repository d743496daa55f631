import math

import pytest

from lilliput.stages.events import Finished, Noted, Prepared, Sampled, Saved, Stepped, Validated, Warned, line, stamped

CLOCK = {
    "updates_per_s": 2.5,
    "micro_steps_per_s": 10.0,
    "tokens_per_s": 20480.0,
    "mfu": 0.31,
    "memory": 4.2e9,
    "memory_total": 8e9,
}


def test_an_update_is_one_line_with_progress_figures_rates_and_memory():
    event = Stepped(100, 5000, 0.12, 8.1234, 3.2101, 3e-4, 0.912, CLOCK, {"aux.balance": 0.02})
    assert line(event) == (
        "step 100/5000 epoch 0.12 loss=8.1234 bpb=3.2101 ppl=3372.47 lr=0.0003 grad_norm=0.912 aux.balance=0.02 "
        "updates/s=2.50 micro-steps/s=10.00 tok/s=20,480 mfu=31% mem=4.2GB/8.0GB"
    )


def test_figures_of_single_layers_are_left_to_the_log():
    extra = {"aux.balance": 0.01, "monitor.experts.largest": 0.5, "monitor.experts.3.load.1": 0.25}
    told = line(Stepped(1, 2, 0.5, 2.5, 1.0, 1e-3, 1.0, {}, extra))
    assert told.endswith("aux.balance=0.01 experts.largest=0.5")


def test_figures_of_the_stages_of_a_model_stand_side_by_side_in_a_line_that_can_be_read():
    names = ("chunk_rate", "ratio_loss", "tokens_per_chunk", "forget")
    extra = {f"monitor.stage{stage}.{name}": 1 / 3 + stage for stage in range(3) for name in names}
    told = line(Stepped(12_000, 20_000, 0.5, 2.5, 1.0, 1e-3, 1.0, CLOCK, {"aux.ratio": 0.1, **extra}))
    assert " chunk_rate=0.333/1.33/2.33 " in told and " forget=0.333/1.33/2.33 " in told
    assert len(told) < 330


def test_perplexity_is_exp_of_the_loss_and_never_an_error():
    assert f"ppl={math.exp(2.5):.2f} " in line(Stepped(1, 2, 0.5, 2.5, 1.0, 1e-3, 1.0))
    assert "ppl=inf " in line(Stepped(1, 2, 0.5, 1e4, 1.0, 1e-3, 1.0))


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Prepared(("a", "b")), "a · b"),
        (Validated(7, "wikitext-2", 2.0, 7.389, 1.5, 0.25, 99, True), "wikitext-2 loss=2.0000 bpb=1.5000 ppl=7.39"),
        (Sampled(7, "Once", " upon\na time"), "step 7 sample 'Once' -> ' upon\\na time'"),
        (Saved(7, "rhythm", 0.25), "step 7 saved (rhythm) in 0.25s"),
        (Saved(7, "clock", 0.25, 0.02), "step 7 saved (clock) in 0.25s, beside training but for 0.02s"),
        (Noted("resumed from step 3"), "resumed from step 3"),
        (Warned("mind the gap"), "warning: mind the gap"),
        (Finished(7, 9, "early_stop", 3.0), "finished at step 7/9: early_stop"),
    ],
)
def test_every_event_is_one_line_that_begins_with_its_time_in_logs(event, text):
    assert text in line(event)
    assert "\n" not in stamped(event)
    assert stamped(event)[:2] == "20" and stamped(event).endswith(line(event))
