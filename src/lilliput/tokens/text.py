"""Text at its edges: lone surrogates on the way in, half characters on the way out."""

from codecs import getincrementaldecoder

from lilliput.tokens.tokenizer import Tokenizer


def well_formed(text: str) -> str:
    """`text` as UTF-8 can spell it: a lone surrogate, which JSON escapes can carry, becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def ends_whole(data: bytes) -> bool:
    """False where `data`, the end of UTF-8, stops inside a character."""
    for back, byte in enumerate(reversed(data[-4:]), 1):
        if byte & 0xC0 != 0x80:
            return back == (1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
    return not data


class TextStream:
    """Text of ids as they come, in whole UTF-8 characters only."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.decoder = getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The characters that `token` completes; bytes that no later token can complete are U+FFFD."""
        return self.decoder.decode(self.tokenizer.decode_bytes([token]))

    def flush(self) -> str:
        """What is left at the end: U+FFFD for a character that was never completed, else nothing."""
        rest = self.decoder.decode(b"", final=True)
        self.decoder.reset()
        return rest
