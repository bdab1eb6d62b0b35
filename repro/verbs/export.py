"""`python -m repro export`: a run as a Hugging Face folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from repro.errors import UserError

EXAMPLES = """examples:
  python -m repro export results/quick/runs/RUN_ID out/model              fp32, for AutoModelForCausalLM.from_pretrained
  python -m repro export s3://bucket/results/paper/runs/RUN_ID out/model --dtype bf16 --compact
  python -m repro export results/quick/runs/RUN_ID out/model --push org/name

OUT holds safetensors, config, tokenizer, a model card and the spec. With --compact, OUT/compact holds the weights once more
in the sparse-bitmask layout: a bit a weight, and those that are left.
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    parser = verbs.add_parser(
        "export",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", help="folder of the run: a path or a URI; its newest whole checkpoint is taken")
    parser.add_argument("out", help="a new folder, on this machine")
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="fp32", help="of the weights (default: fp32)")
    parser.add_argument("--compact", action="store_true", help="OUT/compact too, in the sparse-bitmask layout")
    parser.add_argument("--corpus", default="data", help="root of the token shards (default: data)")
    parser.add_argument(
        "--push", metavar="ID", help="then upload OUT to this Hugging Face id; made private if it is new"
    )
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    if "://" in given.out:
        raise UserError("not a folder of this machine", key="out", found=given.out, expected="a path")
    from transformers.utils.logging import disable_progress_bar

    from repro.corpus import build
    from repro.models.export import export
    from repro.run_folder import RunFolder
    from repro.storage import Folder

    run, out = Folder.open(given.run), Path(given.out)
    spec, _ = RunFolder(run).spec()
    text = build(spec.corpus, spec.model.vocab, spec.model.sequence, given.corpus, progress=print)
    disable_progress_bar()
    made = export(run, out, text, dtype=given.dtype, compact=given.compact)
    print(f"{spec.run_id} at step {made.step:,} of {spec.schedule.total_steps:,} -> {out}")
    print(f"prunable weights: {made.prunable_bytes:,} bytes of {given.dtype}")
    if made.compact_bytes is not None:
        share = made.compact_bytes / made.prunable_bytes
        print(f"         compact: {made.compact_bytes:,} bytes, {share:.1%} of that -> {out / 'compact'}")
    if given.push:
        _push(out, given.push)
    return 0


def _push(folder: Path, model_id: str) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, HTTPError

    api = HfApi()
    try:
        api.create_repo(model_id, private=True, exist_ok=True)
        url = api.upload_folder(repo_id=model_id, folder_path=folder)
    except (HTTPError, HFValidationError, OSError) as error:
        raise UserError(
            "exported, but not uploaded",
            file=folder,
            key="--push",
            found=f"{model_id}: {str(error).splitlines()[0][:300]}",
            expected="an id that you may write to; `hf auth login` first",
        ) from error
    print(f"uploaded: {url}")
