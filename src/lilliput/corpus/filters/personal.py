"""Personal data: e-mail and network addresses, telephone, card, account and social security numbers are masked."""

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Literal

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.domains import DOMAINS

Kind = Literal["email", "ip", "phone", "card", "iban", "ssn"]

PATTERNS: dict[Kind, re.Pattern[str]] = {
    "email": re.compile(
        r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,18}(?![\w(\[-])"
    ),
    "ip": re.compile(
        r"\d(?<![\w.:-].)(?:\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?!\w|[.:-]\w*[A-Za-z.])"
        r"|[0-9a-fA-F]{3}:(?:[0-9a-fA-F]{0,4}:){1,6}[0-9a-fA-F]{0,4}(?![\w:.]))"
    ),
    "card": re.compile(r"[3-6](?<![\w.-].)\d{3}([ -])(?:\d{4}\1\d{4}\1\d{4}|\d{6}\1\d{5})(?![\w-]|\.\d)"),
    "iban": re.compile(r"[A-Z](?<![\w.-].)[A-Z]\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![\w-])"),
    "ssn": re.compile(r"[0-8](?<![\w.+-].)\d{2}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-]|\.\d)"),
    "phone": re.compile(
        r"[+(1-9](?<![\w.+*/=)-].)(?:"
        r"(?<=\+)(?:\d{8,15}|\d{1,4}(?:(?:[ .-]?\(\d{1,5}\)[ .-]?|[ .-])\d{1,8}){1,6})"
        r"|(?<=\()[2-9]\d{2}\)[ ]?[2-9]\d{2}[.-]\d{4}"
        r"|(?<=[2-9])\d{2}[.-][2-9]\d{2}[.-]\d{4}"
        r"|(?<=1)[ .-](?:\([2-9]\d{2}\)[ ]?|[2-9]\d{2}[.-])[2-9]\d{2}[.-]\d{4}"
        r")(?![\w%-]|\.\d)"
    ),
}
"""Where each kind may be, within a line. Every repetition is bounded, so that no text is slow.

A pattern looks behind only after its first sign, which makes the search for that sign fast.
"""
DIGIT = re.compile("[0-9]")


@settings
class PersonalRule:
    """Masks stand in place of what was found; patterns find what is written plainly, not all that is personal."""

    kind: Literal["personal"] = "personal"
    find: Semantic[tuple[Kind, ...]] = Field(default=("email", "ip", "phone", "card", "iban", "ssn"), min_length=1)
    """Kinds of data: e-mail, public IPv4 and IPv6 addresses, telephone, card, IBAN, US social security numbers."""
    max_found: Semantic[int | None] = Field(default=None, ge=0)
    """A document with more of them is dropped; Dolma (arXiv 2402.00159) drops those with more than 5."""

    def apply(self, text: str) -> str | Dropped:
        found, kinds = 0, [kind for kind in PATTERNS if kind in self.find]
        lines = text.split("\n")
        for place, line in enumerate(lines):
            if "@" in line or DIGIT.search(line):
                for kind in kinds:
                    line, number = mask(line, kind)
                    found += number
                lines[place] = line
        if self.max_found is not None and found > self.max_found:
            return Dropped("personal: too much personal data")
        return "\n".join(lines) if found else text


def mask(line: str, kind: Kind) -> tuple[str, int]:
    """(line with `[kind]` in place of each find, how many there were)."""
    if kind == "email" and "@" not in line:
        return line, 0
    is_real, found = CHECKS[kind], 0

    def masked(match: re.Match[str]) -> str:
        nonlocal found
        if not is_real(match[0]):
            return match[0]
        found += 1
        return f"[{kind}]"

    return PATTERNS[kind].sub(masked, line), found


def _is_email(word: str) -> bool:
    return word.rpartition(".")[2].lower() in DOMAINS


def _is_public_address(word: str) -> bool:
    """Four single digits are a version or a section, and private addresses are nobody's."""
    if len(word) == 7 and "." in word:
        return False
    try:
        address = ip_address(word)
    except ValueError:
        return False
    return address.is_global and not address.is_multicast


def _is_phone(word: str) -> bool:
    """E.164 has at most 15 digits; without separators only what is long enough to be no sum."""
    digits = sum(map(str.isdigit, word))
    return 8 <= digits <= 15 and (digits < len(word) - 1 or digits >= 10)


def _is_card(word: str) -> bool:
    """Luhn's check digit (ISO/IEC 7812-1)."""
    digits = [int(letter) for letter in word if letter.isdigit()]
    return sum(sum(divmod(digit * (1 + number % 2), 10)) for number, digit in enumerate(reversed(digits))) % 10 == 0


def _is_iban(word: str) -> bool:
    """The check digits of ISO 13616: the rearranged number leaves 1 when divided by 97."""
    plain = word.replace(" ", "")
    return 15 <= len(plain) <= 34 and int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def _is_ssn(word: str) -> bool:
    """Numbers of areas that were never given out."""
    return word[:3] not in ("000", "666")


CHECKS: dict[Kind, Callable[[str], bool]] = {
    "email": _is_email,
    "ip": _is_public_address,
    "phone": _is_phone,
    "card": _is_card,
    "iban": _is_iban,
    "ssn": _is_ssn,
}
