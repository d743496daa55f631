"""Stop texts: found wherever token borders fall, and never shown in part."""

from collections.abc import Sequence


class StopWatch:
    """Passes text on as it arrives, holding back what may yet turn out to begin a stop text."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = tuple(stops)
        self.stopped = False
        self._held = ""

    def push(self, text: str) -> str:
        """The text that may be shown now. Once `stopped`, everything from the stop text on is dropped.

        The stop text that is complete first counts, so the result does not depend on how the text was cut.
        """
        if self.stopped:
            return ""
        text = self._held + text
        found = [(text.find(stop) + len(stop), text.find(stop)) for stop in self.stops if stop in text]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        safe = len(text) - max((_overlap(text, stop) for stop in self.stops), default=0)
        self._held = text[safe:]
        return text[:safe]

    def finish(self) -> str:
        """What was held back, now that nothing follows."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Characters at the end of `text` that may begin `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
