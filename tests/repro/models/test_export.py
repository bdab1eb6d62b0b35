"""An exported run is the model that was trained, for transformers alone, and never anything less."""

from __future__ import annotations

import json
import math
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, pipeline

from repro.__main__ import main
from repro.corpus import Corpus
from repro.errors import UserError
from repro.models import bitmask, export
from repro.models.card import Card
from repro.models.public import without_places
from repro.resources import Resources, Stage
from repro.spec import Init, ModelSpec, RunSpec, from_kept
from repro.store.folder import Folder
from repro.training.checkpoint import masters
from repro.training.checkpoint_manifest import sealed
from repro.training.fork import checkpoint_of
from repro.training.train import train
from tests import workers
from tests.repro.models import trainer
from tests.repro.training.lives import stopped

Make = Callable[..., RunSpec]
SHAPE = ModelSpec(32, 2, 2, 48, 300, 32)  # 16 dimensions a head: queries are 4 times as large


@dataclass(frozen=True)
class Run:
    """A trained run and its text."""

    folder: Folder
    spec: RunSpec
    text: Corpus

    def export(self, out: Path, dtype: export.Dtype = "fp32", compact: bool = False) -> Path:
        export.export(self.folder, out, self.text, dtype=dtype, compact=compact)
        return out

    def tokens(self) -> torch.Tensor:
        return torch.from_numpy(self.text.heldout.take(np.arange(6))[:, :-1].astype("int64"))

    def weights(self) -> dict[str, torch.Tensor]:
        """The masters, flat."""
        place, manifest = checkpoint_of(self.folder)
        [layout] = manifest["layout"].values()
        return masters(place, manifest, {name: count for name, (_, count) in layout.items()})


@pytest.fixture(scope="module")
def trained(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], Run]:
    """A run, trained once."""
    made: dict[str, Run] = {}

    def of(spec: RunSpec) -> Run:
        if spec.fingerprint not in made:
            folder = Folder.open(tmp_path_factory.mktemp("run"))
            train(spec, folder, text, Resources(device="cpu"))
            made[spec.fingerprint] = Run(folder, spec, text)
        return made[spec.fingerprint]

    return of


@pytest.fixture
def run(trained: Callable[[RunSpec], Run], make_spec: Make) -> Run:
    """80% sparse, with the authors' initialisation."""
    return trained(replace(make_spec(dense_steps=24, do_not_prune=("q_proj",)), model=SHAPE))


@pytest.mark.parametrize("init", ["fan_in", pytest.param("transformers", marks=pytest.mark.full)])
def test_transformers_computes_the_logits_of_the_trainer(
    init: Init, trained: Callable[[RunSpec], Run], make_spec: Make, tmp_path: Path
) -> None:
    sparse = make_spec(dense_steps=24, do_not_prune=("q_proj",))  # which else none is left of, small as they begin
    run = trained(replace(sparse, model=replace(SHAPE, init=init)))
    out = run.export(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(out)
    ours = trainer.logits(run.folder, run.text, run.tokens())
    with torch.no_grad():
        theirs = model(run.tokens()).logits
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight.div_(2)
        others = model(run.tokens()).logits
    assert (theirs - ours).abs().max() <= 1e-5
    assert (others - ours).abs().max() > 1e-4, "the queries don't matter, so this test showed nothing"
    assert model.dtype == torch.float32
    found = json.loads((out / "config.json").read_text())
    assert found["architectures"] == ["LlamaForCausalLM"]
    assert "quantization_config" not in found
    assert not [name for name in found if name == "auto_map"]


def test_weights_are_the_masters_with_the_queries_scaled_and_no_negative_zero(run: Run, tmp_path: Path) -> None:
    found = load_file(run.export(tmp_path / "model") / "model.safetensors")
    masters = run.weights()
    assert set(found) == set(masters)
    negative = 0
    for name, master in masters.items():
        scale = 4 if name.endswith("q_proj.weight") else 1
        assert torch.equal(found[name].view(-1), master * scale), name
        negative += int((master.signbit() & (master == 0)).sum())
        assert not (found[name].signbit() & (found[name] == 0)).any(), name
    assert negative > 0, "no master was -0.0, so this test showed nothing"


def test_bf16_is_the_masters_rounded_once(run: Run, tmp_path: Path) -> None:
    out = run.export(tmp_path / "model", dtype="bf16")
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.dtype == torch.bfloat16
    state = model.state_dict()
    for name, master in run.weights().items():
        scale = 4 if name.endswith("q_proj.weight") else 1
        assert torch.equal(state[name].view(-1), (master * scale).bfloat16()), name


def test_the_tokenizer_is_the_corpus_own_and_begins_with_bos(run: Run, tmp_path: Path) -> None:
    out = run.export(tmp_path / "model")
    loaded = AutoTokenizer.from_pretrained(out)
    words = ["The with statement\n  is used", "  naïve — 3.14 \t", "if x: return"]
    for word in words:
        ids, _ = run.text.tokenizer.encode_batch([word], np.dtype(np.uint32))
        assert loaded(word)["input_ids"] == ids[:-1].tolist()
        assert loaded.decode(ids[1:-1]) == word
    manifest = run.text.manifest
    assert (loaded.bos_token_id, loaded.eos_token_id) == (manifest.bos, manifest.eos)
    generation = GenerationConfig.from_pretrained(out)
    assert (generation.bos_token_id, generation.eos_token_id) == (manifest.bos, manifest.eos)


def test_a_pipeline_generates_what_greedy_steps_of_the_model_give(run: Run, tmp_path: Path) -> None:
    out = run.export(tmp_path / "model")
    made = pipeline("text-generation", model=str(out), device="cpu")
    assert made.tokenizer is not None
    prompt = "The "
    [written] = made(prompt, max_new_tokens=8, do_sample=False, return_tensors=True)
    prompt_ids, ids = made.tokenizer(prompt)["input_ids"], torch.as_tensor(written["generated_token_ids"]).view(1, -1)
    assert ids[0, : len(prompt_ids)].tolist() == prompt_ids
    greedy = trainer.logits(run.folder, run.text, ids)[0].argmax(-1)
    assert ids.shape[1] > len(prompt_ids)
    assert ids[0, len(prompt_ids) :].tolist() == greedy[len(prompt_ids) - 1 : -1].tolist()


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_compact_folder_gives_the_same_weights_and_from_pretrained_refuses_it(
    dtype: export.Dtype, run: Run, tmp_path: Path
) -> None:
    out = run.export(tmp_path / "model", dtype=dtype, compact=True)
    dense = AutoModelForCausalLM.from_pretrained(out)
    compact = export.load_compact(str(out / "compact"))
    assert compact.dtype == dense.dtype
    bits = {torch.float32: torch.int32, torch.bfloat16: torch.int16}[dense.dtype]
    theirs = compact.state_dict()
    assert set(theirs) == set(dense.state_dict())
    for name, weight in dense.state_dict().items():
        assert torch.equal(weight.view(bits), theirs[name].view(bits)), name
    with torch.no_grad():
        assert torch.equal(dense(run.tokens()).logits, compact(run.tokens()).logits)
    for place, where in ((out / "compact", {}), (out, {"subfolder": "compact"})):
        with pytest.raises(OSError, match=r"no file named model\.safetensors"):
            AutoModelForCausalLM.from_pretrained(place, **where)
    assert "quantization_config" not in (out / "compact" / "config.json").read_text()


def test_sharded_exports_load_as_whole_ones_do(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = AutoModelForCausalLM.from_pretrained(run.export(tmp_path / "whole")).state_dict()
    monkeypatch.setattr(export, "SHARD", "20KB")
    out = run.export(tmp_path / "sharded", compact=True)
    for folder, stem in ((out, "model"), (out / "compact", "sparse-bitmask")):
        assert len(list(folder.glob(f"{stem}-*-of-*.safetensors"))) > 2
        assert not (folder / f"{stem}.safetensors").exists()
        assert main(["inspect", str(folder)]) == 0
    for model in (AutoModelForCausalLM.from_pretrained(out), export.load_compact(str(out / "compact"))):
        assert all(torch.equal(weight, whole[name]) for name, weight in model.state_dict().items())
    with pytest.raises(OSError, match=r"no file named model\.safetensors"):
        AutoModelForCausalLM.from_pretrained(out / "compact")


@pytest.mark.parametrize(("dtype", "most"), [(torch.bfloat16, 0.27), (torch.float32, 0.24)])
def test_at_eighty_percent_the_layout_keeps_to_its_size_at_the_width_of_58m(dtype: torch.dtype, most: float) -> None:
    d, mlp, vocab = 512, 2048, 4000
    draw = torch.Generator().manual_seed(0)
    dense = packed = 0
    for shape in [(d, d)] * 4 + [(mlp, d)] * 2 + [(d, mlp), (vocab, d)]:
        weight = torch.randn(shape, generator=draw)
        weight[
            weight.abs() < weight.abs().view(-1).kthvalue(int(0.8 * weight.numel())).values.nextafter(torch.tensor(9.0))
        ] = 0
        weight = weight.to(dtype)
        tensors = bitmask.encoded("layer.weight", weight)
        assert torch.equal(bitmask.decoded(tensors)["layer.weight"], weight)
        dense, packed = dense + weight.nbytes, packed + sum(t.nbytes for t in tensors.values())
    assert 0.2 < packed / dense <= most


def test_the_card_claims_what_inspect_finds(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run.export(tmp_path / "model", compact=True)
    for folder in (out, out / "compact"):
        assert main(["inspect", str(folder), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert {c["claim"] for c in found["claims"]} >= {
            "linear_params",
            "nonzero_linear_params",
            "average_linear_params",
        }
        assert found["nonzero_linear_params"] == run.spec.schedule.n_final(run.spec.model.shape.prunable)
        assert found["total_params"] == run.spec.model.shape.total
    card = (out / "README.md").read_text()
    for said in ("N_avg", "held-out", "schedule.png", run.text.hash, "lm_head", "python -m repro train spec.json"):
        assert said in card, said
    assert (out / "schedule.png").read_bytes().startswith(b"\x89PNG")
    nonzero = found["nonzero_linear_params"]
    (out / "README.md").write_text(
        card.replace(f"nonzero_linear_params: {nonzero}", f"nonzero_linear_params: {nonzero + 1}")
    )
    assert main(["inspect", str(out)]) == 1
    assert "WRONG   nonzero_linear_params" in capsys.readouterr().out


def test_a_run_that_is_under_way_exports_its_newest_whole_checkpoint(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, folder = replace(make_spec(dense_steps=24), model=SHAPE), Folder.open(tmp_path / "run")
    stopped(spec, folder, text, Resources(device="cpu", checkpoint_every=6, keep_checkpoints=3), 20)
    (tmp_path / "run" / "checkpoint" / "step-00000018" / "rank-0.safetensors").write_bytes(b"damaged")
    made = export.export(folder, tmp_path / "model", text)
    assert made.step == 12
    assert "step 12 of" in (tmp_path / "model" / "README.md").read_text()
    AutoModelForCausalLM.from_pretrained(tmp_path / "model")


def test_nothing_is_overwritten_and_nothing_half_made_is_left(
    run: Run, make_spec: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = run.export(tmp_path / "model")
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    assert len({file.stat().st_mode for file in out.iterdir()}) == 1, "not all can be read by the same"
    with pytest.raises(UserError, match="something already"):
        run.export(out)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before

    def fail(card: Card, folder: Path) -> None:
        assert (folder / "model.safetensors").exists()
        raise OSError("the power fails")

    monkeypatch.setattr(Card, "write", fail)
    with pytest.raises(OSError, match="the power fails"):
        run.export(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_cannot_be_exported_is_refused(
    run: Run, text_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--corpus", str(text_root)]
    assert main(["export", str(tmp_path / "none"), str(tmp_path / "out"), *words]) == 2
    assert "no run has begun here" in capsys.readouterr().err
    assert main(["export", str(run.folder), "s3://bucket/out", *words]) == 2
    empty = Folder.open(tmp_path / "empty")
    empty.write("spec.json", run.folder.read("spec.json"))
    assert main(["export", str(empty), str(tmp_path / "out"), *words]) == 2
    assert "no such checkpoint" in capsys.readouterr().err
    kept = empty.read_json("spec.json")
    empty.write_json("spec.json", kept | {"corpus_hash": "another"})
    assert main(["export", str(empty), str(tmp_path / "out"), *words]) == 2
    assert "not the text" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["export", str(run.folder), str(tmp_path / "out"), *words, "--compact", "--dtype", "bf16"]) == 0
    assert "compact:" in capsys.readouterr().out


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


@pytest.mark.parametrize("private", [False, True])
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


def shared(spec: RunSpec, corpus: Path, folder: Path, stage: Stage) -> float:
    workers.join()
    resources = Resources(device="cpu", workers=2, zero_stage=stage)
    return float(train(spec, Folder.open(folder), Corpus(corpus), resources)["loss"])


@pytest.mark.full
@pytest.mark.parametrize("stage", [1, 3])
def test_a_run_of_two_workers_is_exported_whole(stage: Stage, text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    spec = replace(make_spec(dense_steps=24, do_not_prune=("q_proj",)), model=SHAPE)
    workers.run(2, shared, spec, text.folder, tmp_path / "run", stage)
    run = Run(Folder.open(tmp_path / "run"), spec, text)
    model = AutoModelForCausalLM.from_pretrained(run.export(tmp_path / "model"))
    with torch.no_grad():
        theirs = model(run.tokens()).logits
    assert (theirs - trainer.logits(run.folder, text, run.tokens())).abs().max() <= 1e-5
    assert math.isfinite(theirs.std())
