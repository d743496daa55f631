"""A hub on loopback: the part of its HTTP that `huggingface_hub` and `datasets` use, with failures on demand."""

import contextlib
import hashlib
import http.server
import io
import json
import re
import threading
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".parquet", ".gz", ".zst", ".json", ".jsonl")
"""Files that a hub keeps outside git: their ETag is a sha256, not git's own hash."""


class LoopbackHub:
    """Data sets in memory, served over HTTP; `with LoopbackHub() as hub:` and give `hub.url` as HF_ENDPOINT."""

    def __init__(self):
        self.sets = {}
        self.gated = set()
        self.faults = []
        self.asked = []
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *words):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def hold(self, name, files, configs=None):
        """Keep a data set; `configs` is {subset: {split: pattern}} for its card, as real sets have it."""
        files = dict(files)
        if configs:
            files["README.md"] = card(configs)
        self.sets[name] = files

    def fail(self, kind, path="", times=1, **options):
        """Let the next `times` requests whose path contains `path` fail.

        `kind`: 404; 429 (with `retry_after`); 500; `cut` (half the body); `other bytes` (one is changed).
        """
        self.faults.append({"kind": kind, "path": path, "left": times, **options})

    def fault(self, path, kinds):
        for fault in self.faults:
            if fault["kind"] in kinds and fault["left"] and fault["path"] in path:
                fault["left"] -= 1
                return fault
        return None

    def count(self, words):
        """Requests by method whose path contains `words`."""
        return Counter(line.split(" ")[0] for line in self.asked if words in line)


def card(configs):
    """A README whose header names the data files of each subset and split."""
    lines = ["---", "configs:"]
    for name, splits in configs.items():
        lines += [f"- config_name: {json.dumps(name)}", "  data_files:"]
        for split, pattern in splits.items():
            lines += [f"  - split: {split}", f"    path: {json.dumps(pattern)}"]
    return ("\n".join([*lines, "---", "# A set", ""])).encode()


def parquet(rows, row_group_size=None):
    """A parquet file of these rows."""
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file, row_group_size=row_group_size)
    return file.getvalue()


def json_lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def fixture_rows(path):
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


JSON_SETS = {
    "codeparrot/codeparrot-clean-train": "file-000000000000.json.gz",
    "yahma/alpaca-cleaned": "alpaca_data_cleaned.json",
    "glaiveai/glaive-function-calling-v2": "glaive-function-calling-v2.json",
}
"""Sets that the real hub keeps as JSON; the others are parquet."""


def hold_fixtures(hub, folder):
    """The sets of a folder of `owner__set[__subset]__split.jsonl` files, each in the container that the hub has."""
    import gzip

    for path in sorted(Path(folder).glob("*.jsonl")):
        owner, title, *subset, split = path.stem.split("__")
        name, rows = f"{owner}/{title}", fixture_rows(path)
        if name in JSON_SETS:
            data = json_lines(rows) if name.startswith("codeparrot") else json.dumps(rows, indent=1).encode()
            file = JSON_SETS[name]
            hub.hold(name, {file: gzip.compress(data, mtime=0) if file.endswith(".gz") else data})
        elif subset:
            file = f"{subset[0]}/{split}-00000-of-00001.parquet"
            hub.hold(name, {file: parquet(rows)}, {subset[0]: {split: f"{subset[0]}/{split}-*"}})
        else:
            hub.hold(name, {f"data/{split}-00000-of-00001.parquet": parquet(rows)})


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LoopbackHub

    def do_GET(self):
        self.hub.asked.append(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        fault = self.hub.fault(self.path, (404, 429, 500))
        if fault:
            wait = {"Retry-After": str(fault.get("retry_after", 0))} if fault["kind"] == 429 else {}
            return self.answer(fault["kind"], b"", wait)
        path, query = unquote(urlsplit(self.path).path), parse_qs(urlsplit(self.path).query)
        if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/revision/[^/]+)?", path):
            return self.info(match[1])
        if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/tree/[^/]+(?:/(.*))?", path):
            return self.tree(match[1], match[2] or "", "true" in query.get("recursive", [""])[0].lower())
        if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/paths-info/[^/]+", path):
            return self.paths(match[1], body)
        if match := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            return self.file(match[1], match[2])
        return self.missing("RepoNotFound", 404)

    do_HEAD = do_POST = do_GET

    def info(self, name):
        if name not in self.hub.sets:
            return self.missing("RepoNotFound", 401)
        files = self.hub.sets[name]
        siblings = [{"rfilename": path} for path in sorted(files)]
        gated = "auto" if name in self.hub.gated else False
        return self.json({"id": name, "sha": REVISION, "gated": gated, "private": False, "siblings": siblings})

    def tree(self, name, folder, recursive):
        files = self.hub.sets.get(name)
        if files is None:
            return self.missing("RepoNotFound", 401)
        inside = {path: entry for path, entry in _entries(files).items() if not folder or path.startswith(f"{folder}/")}
        if folder and not inside:
            return self.missing("EntryNotFound", 404)
        depth = folder.count("/") + 1 if folder else 0
        return self.json([e for path, e in sorted(inside.items()) if recursive or path.count("/") == depth])

    def paths(self, name, body):
        if name not in self.hub.sets:
            return self.missing("RepoNotFound", 401)
        if self.headers.get("Content-Type", "").startswith("application/json"):
            wanted = json.loads(body)["paths"]
        else:
            wanted = parse_qs(body.decode())["paths"]
        entries = _entries(self.hub.sets[name])
        return self.json([entries[path.strip("/")] for path in wanted if path.strip("/") in entries])

    def file(self, name, path):
        files = self.hub.sets.get(name)
        if files is None:
            return self.missing("RepoNotFound", 401)
        if name in self.hub.gated:
            return self.missing("GatedRepo", 403)
        if path not in files:
            return self.missing("EntryNotFound", 404)
        whole = files[path]
        tag = _entries(files)[path]
        etag = tag["lfs"]["oid"] if "lfs" in tag else tag["oid"]
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": REVISION, "Accept-Ranges": "bytes"}
        if "lfs" in tag:
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(whole))}
        if self.command == "GET" and self.hub.fault(self.path, ("other bytes",)):
            at = len(whole) // 2
            whole = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        status, part = 200, whole
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            start, stop = int(match[1]), min(int(match[2] or len(whole) - 1) + 1, len(whole))
            status, part = 206, whole[start:stop]
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(whole)}"
        cut = self.command == "GET" and self.hub.fault(self.path, ("cut",))
        return self.answer(status, part, headers, cut=bool(cut))

    def json(self, value):
        return self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def missing(self, code, status):
        return self.answer(status, b"", {"X-Error-Code": code, "X-Error-Message": code})

    def answer(self, status, body, headers=None, cut=False):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):  # a client may have enough
                self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = cut

    def log_message(self, *words):
        pass


def _entries(files):
    """What the hub's tree says of each file and folder."""
    entries = {}
    for path, content in files.items():
        for depth in range(1, path.count("/") + 1):
            folder = "/".join(path.split("/")[:depth])
            entries[folder] = {"type": "directory", "oid": hashlib.sha1(folder.encode()).hexdigest(), "path": folder}
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entries[path] = {"type": "file", "oid": oid, "size": len(content), "path": path}
        if path.endswith(LARGE):
            sha256 = hashlib.sha256(content).hexdigest()
            entries[path]["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
    return entries
