import pytest

from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.personal import PersonalRule


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to jane.doe+x@mail.example.co.uk, or JOE@X.ORG.", "Write to [email], or [email]."),
        ("from 93.184.216.34 to 2001:4860:4860::8888", "from [ip] to [ip]"),
        ("+49 30 1234567, +14155552671, +49(0)30 123456", "[phone], [phone], [phone]"),
        ("(212) 555-1234, 212-555-1234, 1-800-555-2345", "[phone], [phone], [phone]"),
        ("4111 1111 1111 1111 and 3782-822463-10005", "[card] and [card]"),
        ("DE89 3704 0044 0532 0130 00 or GB82WEST12345698765432", "[iban] or [iban]"),
        ("his number 123-45-6789.", "his number [ssn]."),
    ],
)
def test_personal_data_is_masked_by_its_kind(text: str, masked: str):
    assert PersonalRule().apply(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "@decorator.com\ndef f(x): return q@k.T + a@b.mean() - x@w.to(device) @ w.at[0]",
        "192.168.0.1, 127.0.0.1, version 1.2.3.4, v10.20.30.40, 1.10.100.1000, 300.1.1.20, 230.0.0.4",
        "12:30:45, std::vector::size, a[::2], fe80::1, 00:1b:44:11:3a:b7",
        "x = a + 12345678; y = 1 +2345678; 555-1234; 1 234 567 8901; 2012-10-11; 3.141592653589793",
        "4111 1111 1111 1112, 000-12-3456, DE00 3704 0044 0532 0130 00",
        "$a+12 345$, 200-300-4000x, 0x4111111111111111, #212-555-12345",
    ],
)
def test_code_versions_and_sums_are_not_personal(text: str):
    assert PersonalRule().apply(text) == text


def test_only_what_is_asked_for_is_found():
    text = "jane@example.com, 93.184.216.34"
    assert PersonalRule(find=("ip",)).apply(text) == "jane@example.com, [ip]"


def test_a_document_with_too_much_of_it_is_dropped():
    assert PersonalRule(max_found=2).apply("a@x.org b@x.org") == "[email] [email]"
    assert PersonalRule(max_found=2).apply("a@x.org\nb@x.org\nc@x.org") == Dropped("personal: too much personal data")
