"""Language: documents that are not clearly in one of the wanted languages are left out (py3langid)."""

import functools
from typing import Any, Literal

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.missing import missing

LANGUAGES = """
ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext fa fi fo fr fuv fy
ga gcf gcr gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja jv ka kab kik kk km kn ko ku ky la lb
lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn no nso oc om or pa pcm pl ps pt qu ro ru rw sa sdh se si sk
sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo yue zh zu zxx
"""
"""The codes (ISO 639) that py3langid knows."""
SAMPLE = 1_000
"""Characters looked at of the beginning, the middle and the end."""


@settings
class LanguageRule:
    kind: Literal["language"] = "language"
    keep: Semantic[tuple[str, ...]] = Field(default=("en",), min_length=1)
    """Languages by their codes, such as `en` and `de`."""
    min_probability: Semantic[float] = Field(default=0.65, ge=0, le=1)
    """Least probability of the language; FineWeb (arXiv 2406.17557) takes 0.65."""

    def __post_init__(self) -> None:
        if unknown := [language for language in self.keep if language not in LANGUAGES.split()]:
            raise ValueError(f"keep: {unknown[0]!r} is no language's code; it may be en, de, fr, zh, and so on")

    def apply(self, text: str) -> str | Dropped:
        """Raises LilliputError (UNAVAILABLE) where py3langid is not installed."""
        language, probability = identify(text)
        if probability < self.min_probability:
            return Dropped("language: not clear")
        return text if language in self.keep else Dropped(f"language: {language}")


def identify(text: str) -> tuple[str, float]:
    """(language, probability) of a text by three samples of it; the language is `zxx` where there is none to see.

    Raises LilliputError (UNAVAILABLE) where py3langid is not installed.
    """
    if len(text) > 3 * SAMPLE:
        middle = len(text) // 2 - SAMPLE // 2
        text = "\n".join((text[:SAMPLE], text[middle : middle + SAMPLE], text[-SAMPLE:]))
    language, probability = identifier().classify(text)
    return language, probability


@functools.cache
def identifier() -> Any:
    """py3langid's model, with probabilities: the only place that opens it.

    Raises LilliputError (UNAVAILABLE) where py3langid is not installed.
    """
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise missing("language", "py3langid") from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
