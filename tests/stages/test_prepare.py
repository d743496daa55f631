import json

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.stages.prepare import Data, prepare
from lilliput.stages.recipe import recipe_from
from lilliput.tokens.bytes import ByteTokenizer


def prepared(data: dict, validation: list) -> Data:
    tree = {
        "data": data,
        "validation": {"sources": validation},
        "model": {"family": "modern", "dim": 16, "num_layers": 1, "num_heads": 2, "ffn_dim": 16},
        "training": {"length": {"steps": 1}, "context_length": 24},
    }
    recipe = recipe_from(tree, "a test")
    return prepare(recipe.data, recipe.validation, ByteTokenizer())


@pytest.fixture
def files(tmp_path):
    """Two files of four documents each."""
    names = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for name in names:
        texts = (f"{name.stem} {number}: some words that make a document. " * 3 for number in range(4))
        name.write_text("\n<|endoftext|>\n".join(texts), encoding="utf-8")
    return [str(name) for name in names]


def documents(shard) -> set[bytes]:
    return {bytes(shard.tokens[i:j].astype("u1")) for i, j in zip(shard.offsets, shard.offsets[1:], strict=False)}


def test_a_validation_set_of_its_own_is_read_whole(files):
    data = prepared({"sources": files[0], "split": {"validation": 0.3}}, [files[1]])
    assert {name: text.num_documents for name, text in data.validation.items()} == {files[1]: 4}


def test_a_validation_set_that_is_trained_on_is_the_part_kept_out_of_training(files):
    data = prepared({"sources": files, "split": {"validation": 0.3}}, files)
    train = documents(data.train[0]) | documents(data.train[1])
    for held_out in data.validation.values():
        assert documents(held_out)
        assert not documents(held_out) & train


def test_of_one_text_the_tail_is_the_validation_set_however_it_is_limited():
    entry = {"name": "tiny", "max_bytes": 400, "weight": 2.0}
    data = prepared({"sources": [entry]}, ["tiny"])
    assert data.train[0].bytes + data.validation["tiny"].bytes == 400


def test_a_validation_set_that_could_overlap_training_is_refused(files):
    for data, validation in [
        ({"sources": [{"name": "tiny", "max_bytes": 400}]}, [{"name": "tiny", "max_bytes": 300}]),
        ({"sources": [{"name": "tales", "size": 3000}]}, [{"name": "tales", "size": 9000}]),
        ({"sources": "tiny", "split": {"validation": 0.0}}, ["tiny"]),
    ]:
        with pytest.raises(LilliputError, match=r"(tiny|tales) is trained on|all of tiny") as error:
            prepared(data, validation)
        assert error.value.code is Exit.RECIPE


def test_tales_of_the_same_seed_are_the_same_text_and_of_another_are_not():
    data = prepared({"sources": [{"name": "tales", "size": 9000}]}, [{"name": "tales", "size": 9000}])
    assert not documents(data.train[0]) & documents(data.validation["tales"])
    other = prepared({"sources": [{"name": "tales", "size": 9000}]}, [{"name": "tales", "size": 9000, "seed": 5}])
    assert other.validation["tales"].bytes >= 9000


def test_two_validation_sets_of_one_name_are_refused():
    with pytest.raises(LilliputError, match="each set has a name of its own"):
        prepared({"sources": "verdict"}, ["tiny", {"name": "tiny", "max_bytes": 300}])


def test_a_set_with_official_parts_may_be_limited_for_validation_alone(tmp_path, monkeypatch):
    (tmp_path / "tinystories").mkdir()
    for part in ("train", "valid"):
        rows = (json.dumps({"text": f"{part} story {number}"}) for number in range(6))
        (tmp_path / "tinystories" / f"{part}_sample.jsonl").write_text("\n".join(rows), encoding="utf-8")
    monkeypatch.setenv("LILLIPUT_DATA", str(tmp_path))
    data = prepared({"sources": "tinystories"}, [{"name": "tinystories", "max_samples": 2}])
    assert data.train[0].num_documents == 6
    assert data.validation["tinystories"].num_documents == 2
    assert all(b"valid story" in text for text in documents(data.validation["tinystories"]))


def test_where_nothing_is_cleaned_shards_keep_the_names_they_had_before_there_were_rules(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("one two three\n<|endoftext|>\nfour five\n", encoding="utf-8")
    data = prepared({"sources": str(path)}, [])
    assert data.names()[0] == "9c04d6d81814cb6dac525c5bac55a6834a8e588626f08fdb78b8b1c1d688f59e"
    same = prepared({"sources": [{"path": str(path), "rules": []}], "cleaning": {"rules": ["short"]}}, [])
    assert same.names() == data.names()


def test_rules_leave_documents_out_and_an_entry_may_have_its_own(files):
    rules = [{"kind": "short", "min_words": 1000}]
    sources = [files[0], {"path": files[1], "rules": [{"kind": "short", "min_words": 2}]}]
    with pytest.raises(LilliputError, match="the train part is empty"):
        prepared({"sources": sources, "split": {"validation": 0.0}, "cleaning": {"rules": rules}}, [])
    data = prepared({"sources": sources[1:], "split": {"validation": 0.0}, "cleaning": {"rules": rules}}, [])
    assert data.train[0].num_documents == 4
    with pytest.raises(LilliputError) as refused:
        prepared({"sources": files[0], "cleaning": {"rules": [{"kind": "shrt"}]}}, [])
    assert refused.value.code == Exit.RECIPE


def test_where_a_set_is_divided_by_hash_a_change_of_any_of_its_parts_is_noticed(tmp_path, monkeypatch):
    names = []
    for folder, text in (("one", "One text.\n\nAnother.\n"), ("two", "Quite another text.\n\nAnd more.\n")):
        (tmp_path / folder / "wikitext2").mkdir(parents=True)
        (tmp_path / folder / "wikitext2" / "valid.txt").write_text(f" = A = \n\n{text} \n = B = \n\n{text}", "utf-8")
        monkeypatch.setenv("LILLIPUT_DATA", str(tmp_path / folder))
        names += prepared({"sources": "wikitext-2-v1", "split": "hash"}, []).names()
    assert len(set(names)) == 4


def test_a_trained_model_may_judge_which_texts_are_strange(finished, files):
    finished()
    cleaning = {"perplexity": {"model": "small@2", "keep": 0.5}}
    data = prepared({"sources": files[0], "split": {"validation": 0.0}, "cleaning": cleaning}, [])
    assert data.train[0].num_documents == 2
    assert data.dropped == {"perplexity above the quantile": 2}
    other = prepared(
        {
            "sources": files[0],
            "split": {"validation": 0.0},
            "cleaning": {"perplexity": {"model": "small@1", "keep": 0.5}},
        },
        [],
    )
    assert other.names() != data.names()
    with pytest.raises(LilliputError, match="reference or model"):
        prepared({"sources": files[0], "cleaning": {"perplexity": {"keep": 0.5}}}, [])
