import contextlib
import hashlib
import http.server
import json
import sys
import threading
import types

import huggingface_hub
import huggingface_hub.constants
import pytest
from tests.loopback_hub import fixture_rows, parquet

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import downloads, fetch
from lilliput.corpus.downloads import locate, present
from lilliput.corpus.published import PUBLISHED, File, Hub, Published, Web
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.published import PublishedSource
from lilliput.corpus.sources.text import TextSource

STORY = b"once upon a time\n<|endoftext|>\nthe end\n<|endoftext|>\n"
REVISION = "0123456789abcdef0123456789abcdef01234567"


class Server(http.server.BaseHTTPRequestHandler):
    """Answers like a file host and like the hub, from a dict of path -> bytes."""

    protocol_version = "HTTP/1.1"
    pages: dict[str, bytes]
    asked: list[str]
    announced_too_much = 0

    def do_GET(self):
        self.asked.append(f"{self.command} {self.path}")
        body = self.pages.get(self.path)
        self.send_response(404 if body is None else 200)
        body = body or b""
        self.send_header("Content-Length", str(len(body) + self.announced_too_much))
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.end_headers()
        if self.command == "GET":
            with contextlib.suppress(ConnectionError):  # a client may have enough
                self.wfile.write(body)
        self.close_connection = bool(self.announced_too_much)

    do_HEAD = do_GET

    def log_message(self, *words):
        pass


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))
    handler = type("Handler", (Server,), {"pages": {}, "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        handler.url = f"http://127.0.0.1:{listening.server_port}"
        yield handler
        listening.shutdown()
        thread.join()


@pytest.fixture
def story(server, monkeypatch):
    """A published set of one file on the loopback server."""
    server.pages["/story.txt"] = STORY
    remote = Web(f"{server.url}/story.txt", len(STORY), hashlib.sha256(STORY).hexdigest())
    file = File(None, "story.txt", remote, "stories/story.txt")
    monkeypatch.setitem(PUBLISHED, "story", Published("a story", "none", len(STORY), "loopback", (file,)))
    return server


def test_a_set_is_downloaded_once_and_recorded(story):
    source = PublishedSource(name="story")
    assert [each.text for each in source.documents(Reader(Reading()))] == ["once upon a time", "the end"]
    (found,) = locate("story")
    assert found.path.read_bytes() == STORY
    assert story.asked == ["GET /story.txt"]
    record = json.loads(found.path.with_name("story.txt.json").read_text())
    assert (record["size"], record["sha256"]) == (len(STORY), hashlib.sha256(STORY).hexdigest())
    assert sorted(path.name for path in found.path.parent.iterdir()) == ["story.txt", "story.txt.json"]


@pytest.mark.parametrize("page", [b"<html>sign in</html>", STORY * 100_000])
def test_other_content_than_the_pinned_one_is_refused_and_nothing_stays(story, page):
    story.pages["/story.txt"] = page
    with pytest.raises(LilliputError, match="other content than expected") as failure:
        locate("story")
    assert failure.value.code == Exit.CONTENT
    assert list((downloads.downloads() / "story").iterdir()) == []


@pytest.mark.parametrize("trouble", ["absent", "cut short", "refused"])
def test_without_a_network_both_ways_are_named_and_nothing_stays(story, monkeypatch, trouble):
    if trouble == "absent":
        story.pages.clear()
    elif trouble == "cut short":
        story.announced_too_much = 100
    else:
        monkeypatch.setattr(fetch.urllib.request, "urlopen", refuse)
    with pytest.raises(LilliputError, match=r"story is not here and .* cannot be reached") as failure:
        locate("story")
    assert failure.value.code == Exit.UNAVAILABLE
    assert "connect to the network" in failure.value.action
    assert "set LILLIPUT_DATA to a folder that holds stories/story.txt" in failure.value.action
    assert list((downloads.downloads() / "story").iterdir()) == []


def refuse(*words, **options):
    raise ConnectionRefusedError(111, "Connection refused")


def test_the_data_folder_comes_first_and_is_never_written_to(story, tmp_path, monkeypatch):
    (tmp_path / "data" / "stories").mkdir(parents=True)
    (tmp_path / "data" / "stories" / "story.txt").write_bytes(b"a local story")
    monkeypatch.setenv("LILLIPUT_DATA", str(tmp_path / "data"))
    assert [found.origin for found in locate("story")] == ["LILLIPUT_DATA"]
    assert [each.text for each in PublishedSource(name="story").documents(Reader(Reading()))] == ["a local story"]
    assert story.asked == []
    assert not (tmp_path / "home").exists()


def test_a_damaged_download_is_named_and_one_without_a_record_fetched_again(story):
    (found,) = locate("story")
    found.path.write_bytes(STORY[:-1])
    with pytest.raises(LilliputError, match="is not what was downloaded") as failure:
        locate("story")
    assert failure.value.code == Exit.CONTENT
    found.path.with_name("story.txt.json").unlink()
    assert present("story") == []
    assert locate("story")[0].path.read_bytes() == STORY


def test_the_pinned_checksums_are_those_of_the_samples(sample_data):
    pinned = [file for each in PUBLISHED.values() for file in each.files if isinstance(file.remote, Web)]
    assert len(pinned) == 2
    for file in pinned:
        assert hashlib.sha256((sample_data / file.local).read_bytes()).hexdigest() == file.remote.sha256


@pytest.fixture
def hub(server, monkeypatch, request):
    """The server as a hub that holds one data set with the given files."""
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)

    request.addfinalizer(huggingface_hub.close_session)

    def hold(repository, files):
        siblings = [{"rfilename": name} for name in files]
        info = {"id": repository, "sha": REVISION, "siblings": siblings}
        server.pages[f"/api/datasets/{repository}"] = json.dumps(info).encode()
        for name, content in files.items():
            server.pages[f"/datasets/{repository}/resolve/{REVISION}/{name}"] = content
        return server

    return hold


def test_the_hub_gives_one_part_at_one_revision_from_the_endpoint_in_the_environment(hub):
    server = hub(
        "roneneldan/TinyStories", {"TinyStories-train.txt": b"never asked for", "TinyStories-valid.txt": STORY}
    )
    (found,) = locate("tinystories", "validation")
    assert found.path.read_bytes() == STORY
    record = json.loads(found.path.with_name("validation.txt.json").read_text())
    assert (record["revision"], record["sha256"]) == (REVISION, hashlib.sha256(STORY).hexdigest())
    assert sorted(path.name for path in found.path.parent.iterdir()) == ["validation.txt", "validation.txt.json"]
    assert not [line for line in server.asked if "train" in line]
    asked = len(server.asked)
    assert len(list(PublishedSource(name="tinystories").documents(Reader(Reading()), "validation"))) == 2
    assert len(server.asked) == asked


def test_a_hub_without_the_files_is_reported_as_unavailable(hub):
    hub("roneneldan/TinyStories", {"other.txt": STORY})
    with pytest.raises(LilliputError, match=r"no file tinystories-train\.txt") as failure:
        locate("tinystories", "train")
    assert failure.value.code == Exit.UNAVAILABLE


def test_an_offline_hub_is_reported_at_once(server):
    with pytest.raises(LilliputError, match="tinystories is not here") as failure:
        locate("tinystories")
    assert failure.value.code == Exit.UNAVAILABLE


def test_a_hub_never_chooses_where_its_files_go():
    pattern = Hub("any/set", "wikitext-2-v1/train-*.parquet").pattern
    assert fetch._is_named("wikitext-2-v1/train-00000-of-00001.parquet", pattern)
    for name in ("wikitext-2-v1/train-/../../x.parquet", "wikitext-2-v1/train-\\..\\x.parquet", "train-1.parquet"):
        assert not fetch._is_named(name, pattern)


def test_parquet_without_pyarrow_names_the_extra(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LilliputError, match="pyarrow") as failure:
        locate("wikitext-2", "validation")
    assert failure.value.code == Exit.UNAVAILABLE
    assert failure.value.action.startswith("pip install 'lilliput[data]', then connect to the network, or put")


def test_wikitext_rows_become_the_file_they_came_from(hub, sample_data, tmp_path, monkeypatch):
    """The rows are those of a hub fixture; only the parquet container is replaced by a stand-in."""
    fixture = sample_data / "hf_schema_fixtures" / "Salesforce__wikitext__wikitext-2-v1__validation.jsonl"
    rows = [json.loads(line)["text"] for line in fixture.read_text().splitlines()]
    monkeypatch.setattr(fetch, "_parquet", lambda *words: types.SimpleNamespace(ParquetFile=lambda path: Rows(rows)))
    hub("Salesforce/wikitext", {"wikitext-2-v1/validation-00000-of-00001.parquet": b"rows"})
    (found,) = locate("wikitext-2-v1", "validation")
    content = found.path.read_bytes()
    assert (sample_data / "wikitext2" / "valid.txt").read_bytes().startswith(content)
    assert len(content) > 2000
    assert [each.text for each in TextSource(path=str(found.path), divide="articles").documents(Reader(Reading()))]


class Rows:
    def __init__(self, rows):
        self.rows = rows

    def iter_batches(self, columns):
        assert columns == ["text"]
        column = types.SimpleNamespace(to_pylist=lambda: self.rows)
        yield types.SimpleNamespace(column=lambda index: column)


def test_real_parquet_of_wikitext_is_read_and_other_bytes_are_fetched_again_or_refused(loopback_hub, sample_data):
    fixture = sample_data / "hf_schema_fixtures" / "Salesforce__wikitext__wikitext-2-v1__validation.jsonl"
    name = "wikitext-2-v1/validation-00000-of-00001.parquet"
    loopback_hub.hold("Salesforce/wikitext", {name: parquet(fixture_rows(fixture))})
    loopback_hub.fail("other bytes", name, times=2)
    with pytest.raises(LilliputError, match="sent other bytes of Salesforce/wikitext/") as failure:
        locate("wikitext-2-v1", "validation")
    assert failure.value.code == Exit.CONTENT
    assert present("wikitext-2-v1") == []
    loopback_hub.fail("other bytes", name)
    (found,) = locate("wikitext-2-v1", "validation")
    assert (sample_data / "wikitext2" / "valid.txt").read_bytes().startswith(found.path.read_bytes())
