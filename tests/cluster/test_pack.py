"""What goes along with a submitted sweep: what git tracks, and of that nothing secret."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cluster.pack import FILES, FOLDERS, ROOT, SECRETS, SUBMITTED, files, is_secret, pack
from repro.errors import UserError
from sweeps import grid
from sweeps.throughput import Measured

TRACKED = ("repro/training/train.py", "sweeps/quick.yaml", "requirements.lock")
SECRET = (
    "server.pem", "repro/id_rsa", "secrets.env", "sweeps/.env", "repro/aws-credentials.json", "id_ed25519.pub", "prod.env.local",
    "My-Secret.txt", "tls.KEY", "sweeps/kubeconfig", "auth_token", "Passwords.csv", "repro/store.p12",
)  # fmt: skip
HIDDEN = (
    "data/x/train.arrow",
    "results/quick/runs.parquet",
    ".venv/bin/python",
    ".cache/x",
    "repro/__pycache__/train.pyc",
)


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def git(root: Path, *words: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", "-C", str(root), *identity, *words], check=True, capture_output=True)


def names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in files(root))


@pytest.mark.parametrize("of_git", [True, False])
def test_neither_secrets_nor_data_nor_what_is_hidden_goes_along(tmp_path: Path, of_git: bool) -> None:
    write(tmp_path, *TRACKED, *SECRET, *HIDDEN)
    if of_git:
        git(tmp_path, "init", "-q")
        git(tmp_path, "add", "--force", ".")  # tracked by mistake
    assert names(tmp_path) == sorted(TRACKED)


def test_what_git_does_not_track_stays_behind_and_is_said(tmp_path: Path) -> None:
    write(tmp_path, *TRACKED)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    write(tmp_path, "notes.txt", "repro/new.py", "sweeps/mine.yaml", "weights.bin")
    (tmp_path / "repro" / "training" / "train.py").write_text("changed")
    git(tmp_path, "rm", "-q", "--cached", "sweeps/quick.yaml")
    assert names(tmp_path) == ["repro/training/train.py", "requirements.lock"]
    (tmp_path / "packed").mkdir()
    packed = pack(ROOT / "sweeps" / "quick.yaml", tmp_path / "packed", tmp_path)
    assert packed.file == "submitted/quick.yaml"
    [warning] = packed.warnings
    assert "repro/new.py" in warning
    assert "notes.txt" not in warning
    assert (tmp_path / "packed" / "repro" / "training" / "train.py").read_text() == "changed"


@pytest.mark.parametrize("of_git", [True, False])
def test_a_link_is_not_followed(tmp_path: Path, of_git: bool) -> None:
    root, outside = tmp_path / "checkout", tmp_path / "outside"
    write(root, *TRACKED)
    write(outside, "id", "folder/passwd")
    (root / "repro" / "link.py").symlink_to(outside / "id")
    (root / "repro" / "inner.py").symlink_to("training/train.py")
    (root / "sweeps" / "below").symlink_to(outside / "folder")
    os.mkfifo(root / "repro" / "pipe")
    if of_git:
        git(root, "init", "-q")
        git(root, "add", ".")
        (root / "sweeps" / "quick.yaml").unlink()
        (root / "sweeps" / "quick.yaml").symlink_to(outside / "id")  # tracked as a file, a link since
    expected = [name for name in TRACKED if not (of_git and name.endswith("quick.yaml"))]
    assert names(root) == sorted(expected)


def test_a_repository_of_something_else_around_it_says_nothing_of_it(tmp_path: Path) -> None:
    root = tmp_path / "vendored"
    write(root, *TRACKED, "notes.txt")
    git(tmp_path, "init", "-q")
    assert names(root) == sorted(TRACKED)


def test_what_goes_without_git_is_what_git_tracks_here() -> None:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True
    ).stdout.split()
    seen = {name.split("/")[0] for name in listed if not name.startswith(".")}
    assert seen - {"docs", "mkdocs.yml", "Dockerfile", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md"} == {
        *FOLDERS,
        *FILES,
    }
    assert not [name for name in listed if is_secret(Path(name).name)]


@pytest.mark.parametrize(("file", "prefix"), [(".dockerignore", "**/"), (".skyignore", "")])
def test_images_and_rented_machines_get_no_secret_either(file: str, prefix: str) -> None:
    lines = (ROOT / file).read_text().splitlines()
    assert [pattern for pattern in SECRETS if f"{prefix}{pattern}" not in lines] == []


def test_a_sweep_of_the_checkout_keeps_its_place(tmp_path: Path) -> None:
    assert pack(ROOT / "sweeps" / "quick.yaml", tmp_path).file == "sweeps/quick.yaml"
    assert (tmp_path / "sweeps" / "quick.yaml").read_bytes() == (ROOT / "sweeps" / "quick.yaml").read_bytes()
    assert (tmp_path / "requirements.lock").exists()


def test_a_sweep_from_elsewhere_goes_along_with_what_it_extends(tmp_path: Path) -> None:
    mine, target = tmp_path / "mine.yaml", tmp_path / "packed"
    mine.write_text(f"extends: {ROOT}/sweeps/laptop.yaml\nname: mine\n")
    file = target / pack(mine, target).file
    assert file.parent.name == SUBMITTED
    assert grid.expand(file).name == "mine"
    assert grid.expand(file).runs == grid.expand(mine).runs


def test_a_file_of_measured_speeds_goes_along_beside_a_sweep_of_the_same_name(tmp_path: Path) -> None:
    mine, speeds, target = tmp_path / "mine.yaml", tmp_path / "mine.json", tmp_path / "packed"
    mine.write_text(f"extends: {ROOT}/sweeps/laptop.yaml\nname: mine\n")
    speeds.write_text('{"tokens_per_second": {"h100": {"17k": 1234.5}}}')
    packed = pack(mine, target, measured=str(speeds))
    assert packed.measured
    assert Measured.read(target / packed.measured) == Measured.read(speeds)
    assert grid.expand(target / packed.file).name == "mine"


def test_too_much_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    checkout, target = tmp_path / "checkout", tmp_path / "packed"
    (checkout / "repro").mkdir(parents=True)
    with (checkout / "repro" / "weights.bin").open("wb") as stream:
        stream.truncate(200 * 2**20)
    with pytest.raises(UserError, match=r"weights.bin \(200 MiB\)"):
        pack(ROOT / "sweeps" / "quick.yaml", target, checkout)
    assert not target.exists()
