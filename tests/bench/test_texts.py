"""The text that speeds are measured on."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from bench.apart import sizes
from bench.texts import PAGE, joined, text_of
from sweeps.grid import expand


def test_texts_are_joined_in_order_to_pages_of_a_mean_length() -> None:
    texts = [f"{number:04d} is short" for number in range(20_000)]
    pages = list(joined(iter(texts), 500))
    assert "\n".join(pages).split("\n") == texts
    lengths = [len(page) for page in pages]
    assert statistics.mean(lengths) == pytest.approx(500, rel=0.1)
    assert statistics.median(lengths) < 400  # as pages' lengths are, most are shorter than the mean


@pytest.mark.full
def test_a_gpus_documents_are_as_long_as_pages_of_the_web(tmp_path: Path) -> None:
    spec = sizes(expand("sweeps/paper.yaml"))["162m"]
    train = text_of(spec, str(tmp_path), "cuda").manifest.train
    assert train.characters / train.documents == pytest.approx(PAGE, rel=0.2)
