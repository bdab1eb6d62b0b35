"""The content of a sweep file. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from repro import strict
from repro.errors import UserError
from repro.paths import check_name, expand
from sweeps.points import Ratio, unknown
from sweeps.run_settings import Settings
from sweeps.single_runs import SingleRun
from sweeps.studies import Studies


@strict.dataclass
class Declaration(Settings):
    """One sweep file."""

    studies: Annotated[
        Studies, "groups of runs, each for one question; a run that several studies need is trained once"
    ] = Studies()
    runs: Annotated[tuple[SingleRun, ...], "single runs outside the studies"] = ()

    def __post_init__(self) -> None:
        check_name(self.name, key="name")  # names the results folder
        dense = self.studies.dense.budgets if self.studies.dense else {}
        for block, labels in (("budgets", self.budgets), ("studies.dense.budgets", dense), ("sizes", self.sizes)):
            for label in labels:
                check_name(label, key=f"{block}.{label}")  # part of run ids, which name folders
        self._check_labels(dense)

    def _check_labels(self, dense: dict[str, Ratio]) -> None:
        """Refuses what is said of unknown sizes or budgets, which would silently have no effect."""
        for block, budgets in (("budgets", self.budgets), ("studies.dense.budgets", dense)):
            for label, ratio in budgets.items():
                for size in ratio if isinstance(ratio, dict) else ():
                    if size not in self.sizes:
                        raise unknown("no such size", size, self.sizes, key=f"{block}.{label}.{size}")
        begun = tuple(f"{size}-" for size in self.sizes)
        for label in self.partners.lr:  # SIZE-p80 and the like
            if not label.startswith(begun):
                shape = "SIZE-p80 or SIZE-t80, of "
                raise unknown("no such partner", label, self.sizes, key=f"partners.lr.{label}", shape=shape)
        for label in self.resources.workers_by_size:
            if label not in self.sizes and not label.startswith(begun):
                raise unknown("no such size", label, self.sizes, key=f"resources.workers_by_size.{label}")
        for index, rule in enumerate(self.repeat if isinstance(self.repeat, tuple) else ()):
            for key, label, known in (("size", rule.size, self.sizes), ("budget", rule.budget, self.budgets | dense)):
                if label not in known:
                    raise unknown(f"no such {key}", label, known, key=f"repeat[{index}].{key}")


def read(file: str | Path) -> Declaration:
    """Reads a sweep file.

    Raises:
        UserError: it isn't a sweep file, or is invalid.
    """
    file = Path(expand(file))
    if file.is_dir():
        kept = "a results folder" if (file / "sweep.json").exists() else "a folder"
        raise UserError(f"{kept} instead of a sweep file", file=file, expected="a YAML file such as sweeps/quick.yaml")
    if file.suffix.lower() in (".parquet", ".csv", ".gz", ".html", ".safetensors", ".py"):
        raise UserError(
            "not a sweep file", file=file, found=file.suffix, expected="a YAML file such as sweeps/quick.yaml"
        )
    return strict.build(Declaration, strict.read_yaml(file), file=file)
