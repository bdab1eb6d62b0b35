"""`python -m repro export`: exports a run as a Hugging Face folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from repro.console import commands
from repro.console.options import CORPUS_ROOT, OUT_PLACE, PRECISION, earlier
from repro.errors import UserError
from repro.verbs import RUN

EXAMPLES = (
    (f"{RUN} out/model", "for AutoModelForCausalLM.from_pretrained"),
    (f"{RUN} out/bf16 --precision bf16 --compact", "in bf16, and once more in the sparse-bitmask layout"),
)
NOTES = """\
OUT holds safetensors, the configuration, the tokenizer, a model card and the run's spec. With --compact, OUT/compact holds
the weights once more in the sparse-bitmask layout: one bit a weight, and the weights that are not zero.
"""


def add_parser(verbs: Any) -> None:
    parser = commands.add(
        verbs,
        "export",
        "Writes a run as a folder that transformers loads, with no code of this project.",
        EXAMPLES,
        notes=NOTES,
    )
    parser.add_argument(
        "run", metavar="RUN", help="folder of the run, a path or a URI; its newest whole checkpoint is exported"
    )
    OUT_PLACE.add(parser, "a new folder on this machine")
    PRECISION.add(parser, default="fp32")
    earlier(parser, "--dtype", "--precision")
    parser.add_argument("--compact", action="store_true", help="also write OUT/compact")
    CORPUS_ROOT.add(parser, default="data")
    parser.add_argument(
        "--push", metavar="ID", help="then upload OUT to this Hugging Face id, a new and private one (default: don't)"
    )
    parser.add_argument(
        "--yes", action="store_true", help="upload even if that id exists: it is overwritten, and may be public"
    )
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    if "://" in given.out:
        raise UserError("not a folder on this machine", key="out", found=given.out, expected="a path")
    if given.yes and not given.push:
        raise UserError("--yes without --push", key="--yes", expected="--push ID as well")
    if given.push:
        _is_new(given.push, given.yes)
    from transformers.utils.logging import disable_progress_bar

    from repro.corpus import build
    from repro.models.export import export
    from repro.store.folder import Folder
    from repro.store.run_folder import RunFolder

    run, out = Folder.open(given.run), Path(given.out)
    spec, _ = RunFolder(run).spec()
    text = build(spec.corpus, spec.model.vocab, spec.model.sequence, given.corpus, progress=print)
    disable_progress_bar()
    made = export(run, out, text, dtype=given.precision, compact=given.compact)
    print(f"{spec.run_id} at step {made.step:,} of {spec.schedule.total_steps:,} -> {out}")
    print(f"prunable weights: {made.prunable_bytes:,} bytes of {given.precision}")
    if made.compact_bytes is not None:
        share = made.compact_bytes / made.prunable_bytes
        print(f"         compact: {made.compact_bytes:,} bytes, {share:.1%} of that -> {out / 'compact'}")
    if given.push:
        _upload(out, given.push, given.yes)
    return 0


def _is_new(model_id: str, may_exist: bool) -> bool:
    """Whether a Hugging Face id is new, or the Hub can't be reached; asked before anything is exported.

    Raises:
        UserError: the id is invalid, or exists and may not be overwritten.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, HTTPError, RepositoryNotFoundError

    try:
        found = HfApi().model_info(model_id)
    except RepositoryNotFoundError:
        return True
    except HFValidationError as error:
        raise UserError("not a Hugging Face id", key="--push", found=model_id, expected="OWNER/NAME") from error
    except (HTTPError, OSError):
        return True  # the upload will report it
    if may_exist:
        return False
    raise UserError(
        "there is such a model already",
        key="--push",
        found=f"{model_id}, {'private' if found.private else 'public: what is uploaded is published'}",
        expected="a new id, or --yes to write over this one",
    )


def _upload(folder: Path, model_id: str, may_exist: bool) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, HTTPError

    is_new = _is_new(model_id, may_exist)  # again: an export takes minutes
    api = HfApi()
    try:
        if is_new:
            api.create_repo(model_id, private=True)
        url = api.upload_folder(repo_id=model_id, folder_path=folder)
    except (HTTPError, HFValidationError, OSError) as error:
        message = "exported, but not uploaded"
        found = f"{model_id}: {str(error).splitlines()[0][:300]}"
        expected = "an id that you may write to; `hf auth login` first"
        raise UserError(message, file=folder, key="--push", found=found, expected=expected) from error
    print(f"uploaded: {url}")
