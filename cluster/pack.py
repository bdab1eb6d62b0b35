"""The checkout as it goes to a cluster: code and sweep files, no data, no results, nothing hidden."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml

from repro import strict
from repro.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = {"data", "results", "node_modules", "__pycache__"}
LIMIT = 100 * 2**20  # bytes; Ray's job server refuses a larger body
SUBMITTED = "submitted"  # where a sweep file from outside the checkout goes


class _Quoting(yaml.SafeDumper):
    """Quotes every string: some that are plain to PyYAML, `1e-3` say, are numbers to the strict reader."""


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def pack(file: Path, target: Path, root: Path = ROOT) -> str:
    """Copies the checkout, with the sweep file, into the empty folder `target`. Returns the file's path in there.

    Raises:
        UserError: there is more than a cluster takes.
    """
    sizes = {path: path.stat().st_size for path in files(root)}
    total = sum(sizes.values())
    if total > LIMIT:
        largest = sorted(sizes, key=lambda path: -sizes[path])[:3]
        raise UserError(
            "too much to submit",
            file=root,
            found=f"{total / 2**20:,.0f} MiB; the largest: "
            + ", ".join(f"{path.relative_to(root)} ({sizes[path] / 2**20:,.0f} MiB)" for path in largest),
            expected=f"at most {LIMIT / 2**20:.0f} MiB; move what isn't code into data/ or results/, which stay behind",
        )
    for path in sizes:
        copy = target / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    inside = file.resolve()
    if inside in sizes:
        return inside.relative_to(root).as_posix()
    # In one with what it extends, since that stays behind.
    declared = yaml.dump(strict.read_yaml(file), Dumper=_Quoting, sort_keys=False)
    copy = target / SUBMITTED / f"{file.stem}.yaml"
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(declared, encoding="utf-8")
    return copy.relative_to(target).as_posix()


def files(root: Path) -> Iterator[Path]:
    """Every file that goes along. Links to folders are not followed."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(
            n for n in below if n not in LEFT_OUT and not n.startswith(".") and not n.endswith(".egg-info")
        )
        yield from (Path(folder) / n for n in sorted(names) if not n.startswith(".") and (Path(folder) / n).is_file())
