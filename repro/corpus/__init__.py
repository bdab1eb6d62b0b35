"""Text source -> tokenizer -> packed, memory-mapped Arrow token shards -> batches in a fixed order."""

from repro.corpus.build import build
from repro.corpus.corpus import Corpus, describe
from repro.corpus.declared import declared
from repro.corpus.publish import obtain

__all__ = ["Corpus", "build", "declared", "describe", "obtain"]
