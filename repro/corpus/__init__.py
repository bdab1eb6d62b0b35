"""Text source -> tokenizer -> packed, memory-mapped Arrow token shards -> batches in a fixed order."""

from repro.corpus.build import build, on_this_machine, published
from repro.corpus.corpus import Corpus, CorpusSummary, describe
from repro.corpus.declared import declared
from repro.corpus.local_copy import obtain
