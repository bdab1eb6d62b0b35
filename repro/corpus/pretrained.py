"""A Hugging Face tokenizer, loaded in a subprocess: what transformers imports would stay in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from repro import paths
from repro.corpus.tokenizer import Tokenizer
from repro.errors import UserError
from repro.local_ray import ROOT


def load_pretrained(name: str, vocab: int) -> Tokenizer:
    """The tokenizer with Hugging Face id or path `name`, which must fit a model of `vocab` tokens.

    Raises:
        UserError: it can't be loaded without running its own code, has no BOS or EOS, or more tokens than the model.
    """
    name = paths.expand(name, key="corpus.tokenizer")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "found.json"
        modules = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", "repro.corpus.pretrained", name, str(out)]
        ended = subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": modules},
            stdin=subprocess.DEVNULL,  # no prompt that asks whether to trust remote code: it is never run
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        found: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"error": _last_line(ended.stderr)}
    if "error" in found:
        raise UserError(
            "the tokenizer could not be loaded",
            key="corpus.tokenizer",
            found=f"{name}: {found['error'][-300:]}",
            expected='"bpe", "characters", or a Hugging Face id or folder with a tokenizer.json',
        )
    marks = [found[mark] for mark in ("bos", "eos") if found[mark] is not None]
    if not marks:
        raise UserError(
            "a tokenizer without BOS or EOS", key="corpus.tokenizer", found=name, expected="at least one of the two"
        )
    tokenizer = Tokenizer.from_bytes(found["tokenizer"].encode(), marks[0], marks[-1])
    if tokenizer.vocab_size > vocab:
        raise UserError(
            "the tokenizer has more tokens than the model's vocabulary",
            key="model.vocab",
            found=vocab,
            expected=f"at least {tokenizer.vocab_size}, the vocabulary of {name}",
        )
    tokenizer.backend.no_truncation()
    tokenizer.backend.no_padding()
    return tokenizer


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it ended without an error message"])[-1]


def _read(name: str) -> dict[str, Any]:
    sys.modules["torch"] = None  # type: ignore[assignment]  # blocks its import: 2 s, and tokenizers don't need it
    from transformers import AutoTokenizer

    try:
        pretrained = AutoTokenizer.from_pretrained(name, use_fast=True, trust_remote_code=False)
        tokenizer = pretrained.backend_tokenizer.to_str()
    except Exception as error:  # the Hub's client, sentencepiece and every malformed file raise their own types
        if "trust_remote_code" in str(error):
            return {"error": "it comes with code of its own, which is never run"}
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    return {"tokenizer": tokenizer, "bos": pretrained.bos_token_id, "eos": pretrained.eos_token_id}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(_read(sys.argv[1])))
