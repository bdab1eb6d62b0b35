"""What is uploaded of an export, where to, and what of this machine is never in it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from repro.__main__ import main
from repro.corpus import Corpus
from repro.models import export
from repro.models.appearing import without_places
from repro.spec import RunSpec, from_kept
from repro.store.folder import Folder
from repro.training.checkpoint_manifest import sealed
from tests.repro.models.runs import Run, Trained

Make = Callable[..., RunSpec]


@pytest.fixture(scope="module")
def trained(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(text, tmp_path_factory)


@pytest.fixture
def run(trained: Trained, make_spec: Make) -> Run:
    return trained.sparse(make_spec)


@pytest.mark.slow
def test_an_upload_that_fails_leaves_what_was_exported(
    run: Run, text_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    words = ["export", str(run.folder), str(tmp_path / "out"), "--corpus", str(text_root), "--push", "org/name"]
    assert main(words) == 2
    assert "exported, but not uploaded" in capsys.readouterr().err
    AutoModelForCausalLM.from_pretrained(tmp_path / "out")


class Hub(ThreadingHTTPServer):
    """As much of huggingface.co as an upload asks for. models: id to whether it is private. asked: what came in."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.models: dict[str, bool] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.files: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self._take()
        model_id = self.path.split("?")[0].removeprefix("/api/models/").split("/revision")[0]
        if model_id not in self.server.models:
            self._say(404, {"error": "Repository not found"}, RepoNotFound=True)
        else:
            self._say(200, {"id": model_id, "private": self.server.models[model_id], "siblings": [], "tags": []})

    def do_POST(self) -> None:
        body = self._take()
        if self.path == "/api/repos/create":
            said = json.loads(body)
            model_id = f"{said.get('organization', 'org')}/{said['name']}"
            if model_id in self.server.models:
                return self._say(409, {"error": "exists", "url": f"{self.server.url}/{model_id}"})
            self.server.models[model_id] = said.get("private", False) or said.get("visibility") == "private"
            self._say(200, {"url": f"{self.server.url}/{model_id}"})
        elif "/preupload/" in self.path:
            files = [file["path"] for file in json.loads(body)["files"]]
            self._say(200, {"files": [{"path": f, "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif "/commit/" not in self.path:
            self._say(200, {"errors": [], "warnings": []})  # of the card's front matter
        else:
            lines = [json.loads(line) for line in body.splitlines()]
            self.server.files |= {line["value"]["path"] for line in lines if line["key"] == "file"}
            self._say(200, {"commitOid": "0" * 40, "commitUrl": f"{self.server.url}/org/name/commit/{'0' * 40}"})

    def _take(self) -> str:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
        self.server.asked.append((self.command, self.path, body))
        return body

    def _say(self, code: int, said: dict[str, object], RepoNotFound: bool = False) -> None:
        data = json.dumps(said).encode()
        self.send_response(code)
        if RepoNotFound:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
        yield server
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("private", [False, pytest.param(True, marks=pytest.mark.full)])
def test_a_model_that_is_there_already_is_not_written_over_unless_said(
    private: bool, run: Run, text_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], hub: Hub
) -> None:
    hub.models["org/name"] = private
    words = ["export", str(run.folder), str(tmp_path / "out"), "--corpus", str(text_root), "--push", "org/name"]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "there is such a model already" in err
    assert ("private" if private else "public") in err
    assert not (tmp_path / "out").exists(), "refused before anything was exported"
    assert {method for method, *_ in hub.asked} == {"GET"}
    assert main([*words, "--yes"]) == 0
    assert {"model.safetensors", "config.json", "spec.json", "README.md"} <= hub.files
    assert not [path for _, path, _ in hub.asked if path == "/api/repos/create"]


def test_a_new_model_is_made_private_and_uploaded(
    run: Run, text_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], hub: Hub
) -> None:
    words = ["export", str(run.folder), str(tmp_path / "out"), "--corpus", str(text_root), "--push"]
    assert main([*words, "no id at all"]) == 2
    assert main([*words[:-1], "--yes"]) == 2
    assert not hub.asked
    assert main([*words, "org/name"]) == 0
    assert hub.models == {"org/name": True}
    assert "model.safetensors" in hub.files
    assert "uploaded:" in capsys.readouterr().out


def test_no_place_of_this_machine_is_published(run: Run, tmp_path: Path) -> None:
    home = "/home/alice/secret-project"
    folder = Folder.open(tmp_path / "run")
    shutil.copytree(str(run.folder), tmp_path / "run", dirs_exist_ok=True)
    kept = folder.read_json("spec.json")
    paths = [f"{home}/texts/a.txt", "~/b/*.txt", "s3://bucket-of-alice/c.jsonl", "relative/d.txt"]
    kept["corpus"] |= {"source": "files", "paths": paths}
    kept["start"] = {"sha256": "0" * 64, "model": f"{home}/models/first"}
    spec = from_kept(kept)
    folder.write_json("spec.json", kept | {"fingerprint": spec.fingerprint})
    for name in (folder / "checkpoint").names():
        saved = folder / "checkpoint" / name
        manifest = saved.read_json("manifest.json") | {"identity": spec.identity(kept["corpus_hash"])}
        saved.write_json("manifest.json", sealed(manifest))
    export.export(folder, tmp_path / "model", run.text, compact=True)
    for file in (tmp_path / "model").rglob("*"):
        for word in (b"alice", b"secret-project", str(tmp_path).encode(), str(run.text.folder).encode(), b"relative/"):
            assert file.is_dir() or word not in file.read_bytes(), (file, word)
    shown = json.loads((tmp_path / "model" / "spec.json").read_text())
    assert shown["corpus"]["paths"] == ["a.txt", "*.txt", "c.jsonl", "d.txt"]
    assert shown["start"]["model"] == "first"
    assert from_kept(shown).corpus.name == run.spec.corpus.name


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/data/alice/corpus", "corpus"),
        ("~/corpus/", "corpus"),
        ("../x/corpus", "corpus"),
        ("$HOME/corpus", "corpus"),
        ("gs://bucket/a/corpus", "corpus"),
        ("C:\\Users\\alice\\corpus", "corpus"),
        ("/home/a/.cache/huggingface/hub/models--org--name/snapshots/0123", "org/name"),
        ("/", "folder"),
        ("allenai/c4", "allenai/c4"),
        ("bpe", "bpe"),
    ],
)
def test_places_become_their_last_part_and_ids_stay(said: str, shown: str) -> None:
    assert without_places({"corpus": {"name": said}, "all": [said]}) == {"corpus": {"name": shown}, "all": [shown]}
