"""`lilliput tour`: everything once, in three minutes, without a network."""

from lilliput.cli.terminal import say
from lilliput.cli.train import recorded
from lilliput.runs import stop
from lilliput.runs.run import Run


def tour() -> int:
    """Prepare text, train a tokenizer and a small model, measure it and let it write.

    Takes about three minutes on two cores, needs no network, and leaves one run behind.

    Example: lilliput tour
    """
    stop.install()
    run = Run.begin(None, default="tour")
    with recorded(run):
        from lilliput.cli.progress import show
        from lilliput.stages.tour import tour as events

        finished = show(events(run))
        requested = stop.requested()
        run.ended(requested or 0, finished.step if finished else 0)
        if requested:
            say("stopped; `lilliput tour` starts a new one")
        return int(requested or 0)
