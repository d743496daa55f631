"""Any tokenizer of the hub, by name or folder: its `tokenizer.json` as `tokenizers` reads it."""

import json
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Fatal, settings
from lilliput.runs import durable
from lilliput.runs.commit import commit_folder
from lilliput.tokens.byte_level import byte_letters
from lilliput.tokens.record import damaged, read_record, write_record
from lilliput.tokens.text import well_formed

FILES = "tokenizer.json", "tokenizer_config.json"
# What opens and closes a document: the first of these that tokenizer_config.json gives
BEGIN_WORDS = "bos_token", "cls_token", "eos_token", "sep_token"
END_WORDS = "eos_token", "sep_token", "bos_token", "cls_token"
REFUSALS = 401, 403, 404
"""Answers that stay what they are, however often one asks."""


@settings
class HubConfig:
    kind: Fatal[Literal["hub"]] = "hub"
    name: Fatal[str] = Field(min_length=1)
    """A folder with tokenizer.json, a tokenizer trained here, or `owner/name` on the hub."""
    revision: Fatal[str | None] = None
    """Commit, tag or branch on the hub; the newest where it is null."""


class HubTokenizer:
    """What the file says, with documents opened and closed by the words of its configuration.

    Pieces are spelled as its decoder would spell them alone. Where its normaliser or decoder changes text, lengths
    do not add up to a document's bytes; a shard measures that and says so.
    """

    def __init__(self, description: str, begin: str, end: str) -> None:
        import tokenizers

        self.description = description
        self.inner = tokenizers.Tokenizer.from_str(description)
        self.inner.no_padding()
        self.inner.no_truncation()
        self.inner.encode_special_tokens = True  # a special word inside a text is plain text
        vocabulary = self.inner.get_vocab(with_added_tokens=True)
        added = self.inner.get_added_tokens_decoder()
        self.words = begin, end
        self.begin, self.end = vocabulary[begin], vocabulary[end]
        self.size = max(vocabulary.values()) + 1
        unknown = json.loads(description)["model"].get("unk_token")
        self.special = {number: token.content for number, token in added.items() if token.special}
        self.special |= {self.begin: begin, self.end: end}
        self._control = {number for number, word in self.special.items() if word != unknown}
        self._pieces = [b""] * self.size
        spell = _speller(json.loads(description))
        for word, number in vocabulary.items():
            if number not in self.special:
                self._pieces[number] = word.encode() if number in added else spell(word)
        self._prefixed = self.decode_bytes(self._ids("a")).startswith(b" ")
        self.fingerprint = sha256(json.dumps([description, begin, end]).encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        text = well_formed(text)
        return self._without_control(text, self._ids(text))

    def encode_many(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        texts = [well_formed(text) for text in texts]
        found = self.inner.encode_batch_fast(texts, add_special_tokens=False)
        ids = [self._without_control(text, encoding.ids) for text, encoding in zip(texts, found, strict=True)]
        return [np.array(numbers, np.uint32) for numbers in ids]

    def decode(self, ids: Sequence[int]) -> str:
        text = self.decode_bytes(ids).decode(errors="replace")
        return text[1:] if self._prefixed and text.startswith(" ") else text

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return b"".join([self._pieces[i] for i in ids])

    def lengths(self) -> NDArray[np.int32]:
        return np.array([len(piece) for piece in self._pieces], np.int32)

    def save(self, folder: Path) -> None:
        durable.make_dir(folder)
        durable.write_new(folder / "tokenizer.json", self.description.encode())
        write_record(folder, "hub", self, words=self.words)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.inner.encode(text, add_special_tokens=False).ids
        return ids

    def _without_control(self, text: str, ids: list[int]) -> list[int]:
        """`ids`, or those of `text` cut inside each special word, for models that find such words by themselves."""
        if self._control.isdisjoint(ids):
            return ids
        words = sorted((re.escape(self.special[number]) for number in self._control), key=len, reverse=True)
        cuts = [0, *(match.start() + 1 for match in re.finditer("|".join(words), text)), len(text)]
        ids = [number for start, stop in pairwise(cuts) for number in self._ids(text[start:stop])]
        if not self._control.isdisjoint(ids):
            cause = f"a text is spelled with a control id of the tokenizer: `{text[:40]}`"
            raise LilliputError(cause, "choose another tokenizer, or remove the text", Exit.CONTENT)
        return ids


def open_hub(config: HubConfig, cache: Path) -> HubTokenizer:
    """The tokenizer of a folder, or of the hub, which is then kept in `cache`."""
    place = Path(config.name).expanduser()
    if place.is_dir():
        return _from_files(place, config.name)
    folder = cache / f"{config.name}@{config.revision or 'newest'}".replace("/", "--")
    if not folder.exists():
        tokenizer = _from_files(_download(config), config.name)
        commit_folder(folder, tokenizer.save)
    return load_hub(folder, read_record(folder))


def load_hub(folder: Path, record: dict[str, Any]) -> HubTokenizer:
    """The tokenizer that `save` wrote."""
    try:
        return HubTokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"), *record["words"])
    except LilliputError:
        raise
    except Exception as error:  # `tokenizers` raises nothing narrower
        raise damaged(folder, "`tokenizer.json` cannot be read") from error


def _from_files(folder: Path, name: str) -> HubTokenizer:
    try:
        description = (folder / "tokenizer.json").read_text(encoding="utf-8")
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        cause = f"`{name}` has no readable tokenizer.json and tokenizer_config.json"
        raise LilliputError(cause, "name a folder or repository that holds both", Exit.MISSING) from error
    begin, end = (_role(config, words) for words in (BEGIN_WORDS, END_WORDS))
    if begin is None or end is None:
        cause = f"the tokenizer_config.json of `{name}` names no word that begins or ends a text"
        raise LilliputError(cause, "add `bos_token` or `eos_token` to it", Exit.CONTENT)
    try:
        return HubTokenizer(description, begin, end)
    except KeyError as error:
        cause = f"{error} begins or ends texts of `{name}` but has no id in its tokenizer.json"
        raise LilliputError(cause, "correct tokenizer_config.json", Exit.CONTENT) from error
    except Exception as error:  # `tokenizers` raises nothing narrower
        cause = f"the tokenizer.json of `{name}` cannot be read: {error}"
        raise LilliputError(cause, "choose another tokenizer", Exit.CONTENT) from error


def _role(config: dict[str, Any], words: Sequence[str]) -> str | None:
    """The first of these words that the configuration gives, as text or as an added token."""
    given = (config.get(word) for word in words)
    return next((word["content"] if isinstance(word, dict) else str(word) for word in given if word), None)


def _download(config: HubConfig) -> Path:
    """The folder of the files, from the hub or, where it does not answer, from its cache on this machine.

    Raises LilliputError (UNAVAILABLE), at once where the hub refuses or nobody answers.
    """
    import huggingface_hub
    from huggingface_hub import errors

    name, way = config.name, "name a folder with tokenizer.json and tokenizer_config.json"
    try:
        offline = not _answers(config)
        for file in FILES:
            path = huggingface_hub.hf_hub_download(name, file, revision=config.revision, local_files_only=offline)
    except errors.GatedRepoError as error:
        cause = f"the hub gives the tokenizer `{name}` only to people who accepted its terms"
        action = f"accept them on its page and set HF_TOKEN to a token of yours, or {way}"
        raise LilliputError(cause, action, Exit.UNAVAILABLE) from error
    except errors.RepositoryNotFoundError as error:
        cause = f"`{name}` is no folder and no tokenizer trained here, and the hub knows no such name"
        raise LilliputError(
            cause, f"check the name (a private one needs HF_TOKEN), or {way}", Exit.UNAVAILABLE
        ) from error
    except (errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError) as error:
        is_file = isinstance(error, errors.RemoteEntryNotFoundError)
        cause = f"the hub's `{name}` has no {'tokenizer.json' if is_file else f'revision `{config.revision}`'}"
        raise LilliputError(cause, f"name another repository or revision, or {way}", Exit.UNAVAILABLE) from error
    except Exception as error:  # httpx, offline mode and the hub each raise their own
        raise LilliputError(
            f"the tokenizer `{name}` is no folder, is not in the cache, and cannot be fetched from the hub",
            f"check the name, connect to a network once, or {way}",
            Exit.UNAVAILABLE,
        ) from error
    return Path(path).parent


def _answers(config: HubConfig) -> bool:
    """Whether the hub can be reached; asked once, since its library would try for half a minute.

    Raises what the hub's library raises of a refusal (401, 403, 404); what may pass, it may try again.
    """
    import huggingface_hub
    from huggingface_hub import errors

    try:
        address = huggingface_hub.hf_hub_url(config.name, FILES[0], revision=config.revision)
        huggingface_hub.get_hf_file_metadata(address)
    except errors.HfHubHTTPError as error:
        if error.response.status_code in REFUSALS:
            raise
    except Exception as error:  # httpx and offline mode each raise their own
        return isinstance(error, errors.FileMetadataError)
    return True


def _speller(description: dict[str, Any]) -> Callable[[str], bytes]:
    """How the word of a vocabulary is spelled, by the kind of decoder."""
    decoders = json.dumps(description.get("decoder"))
    if '"ByteLevel"' in decoders:
        alphabet = {letter: bytes([byte]) for byte, letter in enumerate(byte_letters())}
        return lambda word: b"".join(alphabet.get(letter, letter.encode()) for letter in word)
    if '"WordPiece"' in decoders:
        prefix = str((description.get("decoder") or {}).get("prefix", "##"))
        return lambda word: (word[len(prefix) :] if word.startswith(prefix) else f" {word}").encode()
    return _spell_metaspace


def _spell_metaspace(word: str) -> bytes:
    """SentencePiece's way: a lower block for a space, `<0xE2>` for a byte that no piece covers."""
    if byte := re.fullmatch("<0x([0-9A-F]{2})>", word):
        return bytes.fromhex(byte[1])
    return word.replace("\u2581", " ").encode()
