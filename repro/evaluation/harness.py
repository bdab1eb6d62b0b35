"""lm-evaluation-harness tasks through its Python interface; an optional package, `pip install "lm_eval[hf]"`."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

from repro.errors import UserError
from repro.evaluation.models import Model

PACKAGE = "lm_eval"
RESAMPLES = 1000  # bootstrap resamples for metrics without a formula for the standard error


def require() -> None:
    """Raises UserError if the harness isn't installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise UserError(
            "the harness isn't installed", key="--tasks", found=f"no {PACKAGE}", expected=f'pip install "{PACKAGE}[hf]"'
        )


def scores(
    model: Model, names: list[str], folder: str | None = None, fewshot: int | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Rows of the tasks table, one per task and metric.

    Args:
        names: tasks or groups of tasks.
        folder: folder of additional tasks, which may name Python functions that are then run.
        fewshot, limit: examples before each question, and questions per task; None: the task's default, and all.

    Raises:
        UserError: there is no such task, or its data isn't available.
    """
    require()
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=folder, include_defaults=folder is None)
    if folder and any(name not in manager.all_tasks for name in names):
        manager = TaskManager(include_path=folder)  # slow: reads the YAML of ten thousand tasks
    if unknown := [name for name in names if name not in manager.all_tasks]:
        raise UserError(
            "no such task",
            file=folder,
            key="--tasks",
            found=", ".join(unknown),
            expected=f"one of the harness' {len(manager.all_tasks):,} tasks, or of those in --tasks-path",
        )
    asked = HFLM(pretrained=model.network, tokenizer=model.reader.pretrained, batch_size=8)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it prints progress to standard output
            found = lm_eval.simple_evaluate(
                asked,
                tasks=names,
                task_manager=manager,
                num_fewshot=fewshot,
                limit=limit,
                bootstrap_iters=RESAMPLES,
                log_samples=False,
            )
    except (OSError, ValueError, ConnectionError) as error:
        raise UserError(
            "a task could not be run",
            file=folder,
            key="--tasks",
            found=f"{type(error).__name__}: {str(error)[:300]}",
            expected="a task whose data can be reached from here",
        ) from error
    return list(_rows(model, found))


def _rows(model: Model, found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    import lm_eval

    for task, results in found["results"].items():
        for key, value in results.items():
            metric, _, chosen = key.partition(",")
            if not chosen or metric.endswith("_stderr"):
                continue  # the task's alias, and standard errors, which are read with their values
            error = results.get(f"{metric}_stderr,{chosen}")
            higher = found.get("higher_is_better", {}).get(task, {}).get(metric)
            yield {
                **model.columns(),
                "task": task,
                "task_version": str(found["versions"].get(task, "")),
                "metric": metric,
                "filter": chosen,
                "value": float(value),
                "value_se": float(error) if isinstance(error, int | float) else None,
                "higher_is_better": higher if isinstance(higher, bool) else None,
                "fewshot": found["n-shot"].get(task),
                "samples": found.get("n-samples", {}).get(task, {}).get("effective"),
                "harness": lm_eval.__version__,
            }
