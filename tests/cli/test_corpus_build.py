import json
from pathlib import Path

import pytest

from lilliput.cli import main
from lilliput.config.errors import Exit
from lilliput.runs.home import shards
from lilliput.tokens.shards import Shard


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))


@pytest.fixture
def lilliput(capsys):
    def run(*words):
        code = main(["corpus", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def folder(tmp_path) -> Path:
    """Four files; document j of each has j words."""
    (tmp_path / "text").mkdir()
    for i in range(4):
        texts = [" ".join(f"w{i}{j}{k}" for k in range(j)) for j in range(1, 11)]
        (tmp_path / "text" / f"{i}.txt").write_text("\n<|endoftext|>\n".join(texts), "utf-8")
    return tmp_path / "text"


SHORT = "data.cleaning.rules=[{kind: short, min_words: 4}]"


def test_building_shows_shares_the_funnel_and_the_shards(lilliput, folder):
    code, out, _ = lilliput("build", str(folder), SHORT, "--explain")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["read", "40"] in lines
    assert ["-", "too", "short", "12"] in lines
    assert ["=", "kept", "28"] in lines
    assert ["0.txt:1:", "w010"] in lines
    assert max(map(len, out.splitlines())) <= 80


def test_as_json_everything_read_is_kept_or_dropped_and_the_shards_hold_what_is_kept(lilliput, folder):
    code, out, _ = lilliput("build", str(folder), SHORT, "--json")
    built = json.loads(out)
    (source,) = built["sources"]
    funnel = source["funnel"]
    assert code == 0
    assert funnel["documents"] == funnel["kept"] + sum(funnel["dropped"].values()) == 40
    assert sum(shard["documents"] for shard in built["shards"]) == funnel["kept"] == 28
    assert sum(shard["bytes"] for shard in built["shards"]) == funnel["kept_bytes"]
    for shard in built["shards"]:
        Shard.open(Path(shard["folder"])).verify()


def test_without_a_rule_the_funnel_counts_the_same_documents(lilliput, folder):
    (folder / "blank.txt").write_text("one\n<|endoftext|>\n \n<|endoftext|>\ntwo", "utf-8")
    built = json.loads(lilliput("build", str(folder), "--json")[1])
    funnel = built["sources"][0]["funnel"]
    assert (funnel["documents"], funnel["kept"], funnel["dropped"]) == (43, 42, {"blank": 1})
    assert sum(shard["documents"] for shard in built["shards"]) == 42


@pytest.mark.parametrize("rules", [SHORT, "data.cleaning.rules=[]"])
def test_limits_are_part_of_the_funnel(lilliput, folder, rules):
    built = json.loads(lilliput("build", str(folder), rules, "data.sources[0].max_samples=9", "--json")[1])
    funnel = built["sources"][0]["funnel"]
    assert funnel["kept"] == 9 == sum(shard["documents"] for shard in built["shards"])
    assert funnel["documents"] == funnel["kept"] + sum(funnel["dropped"].values())
    assert funnel["dropped"]["beyond the limit"] >= 1


def test_building_twice_finds_what_is_there(lilliput, folder):
    first = lilliput("build", str(folder), SHORT, "--json")[1]
    before = {path: path.stat().st_mtime_ns for path in shards().iterdir()}
    assert lilliput("build", str(folder), SHORT, "--json")[1] == first
    assert {path: path.stat().st_mtime_ns for path in shards().iterdir()} == before


def test_a_recipe_that_says_no_more_than_its_data_can_be_built(lilliput, folder, tmp_path):
    recipe = tmp_path / "my.yaml"
    recipe.write_text(f"data:\n  sources: {folder}\n  cleaning: {{rules: [{{kind: short}}]}}\n", "utf-8")
    code, out, _ = lilliput("build", str(recipe), "data.cleaning.rules[0].min_words=9", "--json")
    assert (code, json.loads(out)["sources"][0]["funnel"]["kept"]) == (0, 8)


@pytest.mark.parametrize(
    ("words", "code", "cause"),
    [
        (["tinystorie"], Exit.RECIPE, "'tinystorie' is no corpus"),
        (["tiny", "data.cleaning.rule=short"], Exit.RECIPE, "data.cleaning.rule: no such key; did you mean rules?"),
        (["tiny", "data.cleaning.rules=shrt"], Exit.RECIPE, "data.cleaning.rules[0].kind"),
        (["./none.yaml"], Exit.MISSING, "none.yaml"),
        (["tiny", "model.dim=3"], Exit.RECIPE, "model: no such key"),
    ],
)
def test_wrong_words_are_refused_in_one_line(lilliput, words, code, cause):
    found, out, err = lilliput("build", *words)
    assert (found, out) == (code, "")
    assert cause in err.splitlines()[0]


def test_the_other_engine_builds_the_same_shards_and_a_third_is_refused(lilliput, folder, monkeypatch, tmp_path):
    words = ["build", str(folder), SHORT, "data.cleaning.duplicates=true", "--json"]
    local = json.loads(lilliput(*words)[1])
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "other"))
    other = json.loads(lilliput(*words, "data.cleaning.workers=1", "--engine", "datatrove")[1])
    assert other["sources"] == local["sources"]
    names = [[Path(shard["folder"]).name for shard in built["shards"]] for built in (local, other)]
    assert names[0] == names[1]
    code, _, err = lilliput(*words, "--engine", "spark")
    assert (code, err.splitlines()[0]) == (Exit.USAGE, "error: there is no engine `spark`")


def test_near_duplicates_evaluation_texts_and_lines_are_shown_in_the_funnel(lilliput, folder, tmp_path):
    held_out = tmp_path / "evaluation.txt"
    held_out.write_text(" ".join(f"w09{k}" for k in range(10)), "utf-8")
    words = ["data.cleaning.duplicates.near=true", f"data.cleaning.contamination={{against: [{held_out}], words: 8}}"]
    code, out, _ = lilliput("build", str(folder), *words, "--explain")
    assert code == 0
    assert [f"holds text of {held_out}"[:40] in line for line in out.splitlines()].count(True) >= 1


def test_a_file_is_cleaned_beside_itself_and_nothing_is_overwritten(lilliput, folder):
    code, out, _ = lilliput("clean", str(folder / "0.txt"), "rules=[{kind: short, min_words: 9}]")
    assert code == 0
    target = folder / "0.clean.txt"
    assert str(target) in out.replace("\n", "")
    assert [len(text.split()) for text in target.read_text("utf-8").split("\n<|endoftext|>\n")] == [9, 10]
    code, _, err = lilliput("clean", str(folder / "0.txt"), "rules=short")
    assert (code, "exists already" in err) == (Exit.EXISTS, True)
    code, _, err = lilliput("clean", str(folder / "1.txt"))
    assert (code, "the rules leave nothing" in err) == (Exit.CONTENT, True)
    assert sorted(path.name for path in folder.iterdir()) == ["0.clean.txt", "0.txt", "1.txt", "2.txt", "3.txt"]


def test_rows_are_cleaned_into_rows(lilliput, tmp_path):
    rows = tmp_path / "a.jsonl"
    rows.write_text('{"text": "one"}\n{"text": "fianc\\u00c3\\u00a9e of a king"}\n', "utf-8")
    code, out, _ = lilliput("clean", str(rows), "rules=[encoding, {kind: short, min_words: 3}]", "--json")
    found = json.loads(out)
    assert code == 0
    assert Path(found["file"]).read_text("utf-8") == '{"text": "fiancée of a king"}\n'
    assert (found["funnel"]["documents"], found["funnel"]["kept"], found["funnel"]["edited"]) == (2, 1, {"encoding": 1})


def test_a_mixture_shows_shares_of_each_stage_and_how_often_an_epoch_reads_each_source(lilliput, tmp_path):
    for name, size in (("small", 100), ("large", 900)):
        (tmp_path / f"{name}.txt").write_text("x" * size, "utf-8")
    sources = ", ".join(
        f"{{path: {tmp_path}/{name}.txt, weight: {w}}}" for name, w in (("small", [3, 1]), ("large", 1))
    )
    words = ["build", str(tmp_path / "small.txt"), f"data.sources=[{sources}]", "data.split.validation=0.0"]
    _, out, _ = lilliput(*words, "data.stages=[0.5]")
    assert "75.0% > 50.0%" in out and "25.0% > 50.0%" in out and "per epoch" in out
    assert max(map(len, out.splitlines())) <= 80
    built = json.loads(lilliput(*words, "data.stages=[0.5]", "--json")[1])
    small, large = 0.625 * 1002 / 101, 0.375 * 1002 / 901  # each text has an end, too
    assert [source["repeats"] for source in built["sources"]] == pytest.approx([small, large])
    assert [source["shares"] for source in built["sources"]] == [[0.75, 0.5], [0.25, 0.5]]


ROWS = {
    "an array": '[{"text": "one row of words"}, {"text": "a second row of words"}]',
    "lines": '{"text": "one row of words"}\n{"text": "a second row of words"}\n',
    "rows with a column `data`": '{"data": {"x": 1}, "text": "a row of words"}\n{"data": {}, "text": "more"}',
    "one row with a column `data`": '{"data": {"x": 1}, "text": "a row of words"}',
}


@pytest.mark.parametrize("content", ROWS.values(), ids=ROWS)
def test_a_json_file_of_rows_is_text_and_one_that_says_its_data_a_recipe(lilliput, tmp_path, content):
    rows, recipe = tmp_path / "rows.json", tmp_path / "recipe.json"
    rows.write_text(content, "utf-8")
    for words in (["build", str(rows), "--json"], ["stats", str(rows)], ["stats", str(rows), "data.split=hash"]):
        code, _, err = lilliput(*words, *(["data.split.validation=0"] if words[0] == "build" else []))
        assert (code, "error" in err) == (0, False)
    recipe.write_text(json.dumps({"data": {"sources": str(rows), "split": {"validation": 0}}}), "utf-8")
    assert lilliput("build", str(recipe))[0] == lilliput("stats", str(recipe))[0] == 0
