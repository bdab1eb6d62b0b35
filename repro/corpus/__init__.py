"""Text source -> tokenizer -> packed, memory-mapped Arrow token shards -> batches in a fixed order."""

from repro.corpus.build import build, published
from repro.corpus.corpus import Corpus, describe
from repro.corpus.declared import declared
from repro.corpus.publish import obtain
from repro.corpus.summary import CorpusSummary

__all__ = ["Corpus", "CorpusSummary", "build", "declared", "describe", "obtain", "published"]
