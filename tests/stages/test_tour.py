from lilliput.config.errors import Exit
from lilliput.runs import stop
from lilliput.runs.run import Run
from lilliput.stages import tour
from lilliput.stages.events import Told


def test_a_tour_that_is_stopped_in_its_training_ends_there(tmp_path, monkeypatch):
    monkeypatch.setattr(tour, "train_run", lambda run, word: iter(()))
    monkeypatch.setattr(stop, "requested", lambda: Exit.INTERRUPTED)
    told = list(tour.tour(Run(tmp_path / "tour")))
    assert [event.heading for event in told if isinstance(event, Told)] == ["1  the text", "2  the training"]
