import contextlib
import json
import socket
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from lilliput.config.errors import Exit, LilliputError
from lilliput.tokens.byte_level import byte_letters
from lilliput.tokens.bytes import ByteTokenizer
from lilliput.tokens.hub import HubConfig, open_hub
from lilliput.tokens.kinds import load, open_tokenizer
from lilliput.tokens.shards import shard_in_memory
from lilliput.tokens.text import TextStream

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def sentence_piece():
    """As Llama's: a lower block for spaces, one put in front, bytes for what no piece covers."""
    words = ["<unk>", "<s>", "</s>", *BYTES, "▁", "a", "b", "▁a", "ab"]
    merges = [("▁", "a"), ("a", "b")]
    model = models.BPE(
        {word: i for i, word in enumerate(words)}, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True
    )
    inner = Tokenizer(model)
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    inner.add_special_tokens(["<unk>", "<s>", "</s>"])
    return inner


def byte_level():
    words = [*byte_letters(), "th", "<|begin|>", "<|end|>"]
    inner = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, [("t", "h")]))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    inner.add_special_tokens(["<|begin|>", "<|end|>"])
    return inner


def unigram():
    """As T5's: its model finds the word `</s>` by itself."""
    pieces = [("<unk>", 0.0), ("</s>", 0.0), *((letter, -2.0) for letter in "▁abs</>"), ("▁a", -1.0)]
    inner = Tokenizer(models.Unigram(pieces, unk_id=0))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    inner.add_special_tokens(["<unk>", "</s>"])
    return inner


def folder_of(inner, folder, **config):
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(inner.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = folder_of(
        sentence_piece(), tmp_path_factory.mktemp("llama"), bos_token="<s>", eos_token={"content": "</s>"}
    )
    return open_hub(HubConfig(name=str(folder)), folder)


@pytest.fixture(scope="module")
def modern(tmp_path_factory):
    folder = folder_of(byte_level(), tmp_path_factory.mktemp("modern"), bos_token="<|begin|>", eos_token="<|end|>")
    return open_hub(HubConfig(name=str(folder)), folder)


def test_begin_and_end_are_those_of_the_configuration(llama, modern):
    assert (llama.begin, llama.end, llama.size) == (1, 2, 264)
    assert (modern.begin, modern.end, modern.size) == (257, 258, 259)


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="▁")))
def test_text_comes_back_whole(llama, modern, text):
    for tokenizer in (llama, modern):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text())
def test_byte_level_lengths_are_exact(modern, text):
    ids = modern.encode(text)
    assert modern.decode_bytes(ids) == text.encode()
    assert modern.lengths()[ids].sum() == len(text.encode())


def test_a_shard_notes_whether_lengths_add_up(llama, modern):
    assert shard_in_memory([(0, "a b é")], modern).exact_lengths
    held = shard_in_memory([(0, "a b é")], llama)
    assert not held.exact_lengths  # the space in front is no byte of the text
    assert held.byte_counts.tolist() == [6]


@pytest.mark.parametrize("word", ["<s>", "</s>", "<unk>", "<|begin|>", "<|end|>"])
def test_a_special_word_in_a_text_is_plain_text(llama, modern, word):
    for tokenizer in (llama, modern):
        ids = tokenizer.encode(f"a{word}b")
        assert {tokenizer.begin, tokenizer.end}.isdisjoint(ids)
        assert tokenizer.decode(ids) == f"a{word}b"


def test_a_model_that_finds_special_words_by_itself_is_kept_from_it(tmp_path):
    tokenizer = open_hub(HubConfig(name=str(folder_of(unigram(), tmp_path / "t5", eos_token="</s>"))), tmp_path)
    plain = tokenizer.inner.encode("a</s>b", add_special_tokens=False).ids
    assert tokenizer.end in plain, "this test needs a model that finds the word"
    assert tokenizer.end not in tokenizer.encode("a</s>b")
    assert tokenizer.end not in tokenizer.encode_many(["a</s>b"])[0]


def test_one_word_has_both_roles_where_only_one_is_named(tmp_path):
    folder = folder_of(byte_level(), tmp_path / "one", eos_token="<|end|>")
    tokenizer = open_hub(HubConfig(name=str(folder)), tmp_path)
    assert tokenizer.begin == tokenizer.end == 258


def test_no_word_for_begin_or_end_is_an_error_that_says_so(tmp_path):
    folder = folder_of(byte_level(), tmp_path / "none")
    with pytest.raises(LilliputError, match="no word that begins or ends") as caught:
        open_hub(HubConfig(name=str(folder)), tmp_path)
    assert caught.value.code is Exit.CONTENT


def test_a_word_without_an_id_is_an_error_that_names_it(tmp_path):
    folder = folder_of(byte_level(), tmp_path / "foreign", eos_token="</s>")
    with pytest.raises(LilliputError, match="</s>"):
        open_hub(HubConfig(name=str(folder)), tmp_path)


@pytest.mark.parametrize("missing", ["tokenizer.json", "tokenizer_config.json"])
def test_a_folder_without_its_files_is_an_error_that_names_them(tmp_path, missing):
    folder = folder_of(byte_level(), tmp_path / "t", eos_token="<|end|>")
    (folder / missing).unlink()
    with pytest.raises(LilliputError, match=missing.replace(".", r"\.")) as caught:
        open_hub(HubConfig(name=str(folder)), tmp_path)
    assert caught.value.code is Exit.MISSING


def test_what_the_hub_gives_is_kept_by_name_and_revision(tmp_path, monkeypatch):
    import huggingface_hub

    folder, asked = folder_of(byte_level(), tmp_path / "remote", eos_token="<|end|>"), []

    def download(repository, name, revision, local_files_only):
        asked.append((repository, name, revision))
        return str(folder / name)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda address: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    config = HubConfig(name="owner/name", revision="abc")
    first, second = open_hub(config, tmp_path / "cache"), open_hub(config, tmp_path / "cache")
    assert first.fingerprint == second.fingerprint
    assert asked == [("owner/name", name, "abc") for name in ("tokenizer.json", "tokenizer_config.json")]


def test_absent_and_offline_is_one_error_that_names_the_ways(tmp_path, monkeypatch):
    import huggingface_hub

    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(LilliputError, match="owner/name") as caught:
        open_hub(HubConfig(name="owner/name"), tmp_path)
    assert caught.value.code is Exit.UNAVAILABLE
    assert "network" in caught.value.action
    assert "folder" in caught.value.action


@pytest.fixture
def impatient(monkeypatch):
    """Nobody waits."""

    def sleep(seconds):
        pytest.fail(f"waits for {seconds} s")

    monkeypatch.setattr("time.sleep", sleep)


def test_a_name_that_the_hub_does_not_know_is_refused_at_once(loopback_hub, impatient, tmp_path):
    with pytest.raises(LilliputError, match="the hub knows no such name") as caught:
        open_hub(HubConfig(name="owner/naem"), tmp_path)
    assert caught.value.code is Exit.UNAVAILABLE and "check the name" in caught.value.action
    assert loopback_hub.count("owner/naem").total() == 1


def test_without_a_network_nobody_waits_for_a_name_that_is_not_in_the_cache(
    loopback_hub, impatient, tmp_path, monkeypatch
):
    import huggingface_hub

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}/{{repo_id}}/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", nowhere)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", nowhere.partition("/{")[0])
    with pytest.raises(LilliputError, match="cannot be fetched") as caught:
        open_hub(HubConfig(name="gpt22"), tmp_path)
    assert caught.value.code is Exit.UNAVAILABLE


@pytest.mark.parametrize(("status", "tried"), [(401, 0), (403, 0), (404, 0), (429, 2), (503, 2)])
def test_only_what_can_pass_is_asked_for_again(monkeypatch, tmp_path, status, tried):
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    folder, asked = folder_of(byte_level(), tmp_path / "remote", eos_token="<|end|>"), []

    def refuse(address):
        error = HfHubHTTPError.__new__(HfHubHTTPError)
        error.response = SimpleNamespace(status_code=status)
        raise error

    def download(repository, name, revision, local_files_only):
        asked.append(name)
        return str(folder / name)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", refuse)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with contextlib.nullcontext() if tried else pytest.raises(LilliputError, match="owner/name"):
        open_hub(HubConfig(name="owner/name"), tmp_path / "cache")
    assert len(asked) == tried


def test_a_saved_tokenizer_loads_as_it_was_and_opens_by_folder_or_name(llama, tmp_path):
    llama.save(tmp_path / "mine")
    by_name = open_tokenizer(HubConfig(name="mine"), None, tmp_path)
    by_folder = open_tokenizer(HubConfig(name=str(tmp_path / "mine")), None, tmp_path)
    assert by_name.fingerprint == by_folder.fingerprint == load(tmp_path / "mine").fingerprint == llama.fingerprint
    assert by_name.encode("a b ab") == llama.encode("a b ab")


def test_a_name_opens_whatever_kind_was_saved_under_it(tmp_path):
    ByteTokenizer().save(tmp_path / "mine")
    assert isinstance(open_tokenizer(HubConfig(name="mine"), None, tmp_path), ByteTokenizer)


@given(st.lists(st.sampled_from("a b é😀"), max_size=8).map("".join))
def test_streamed_text_adds_up(llama, text):
    stream = TextStream(llama)
    pieces = [stream.push(i) for i in llama.encode(text)]
    assert "".join(pieces) + stream.flush() in (text, f" {text}")
