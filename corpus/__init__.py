"""The data: documents, stages, recipes, archives, units, commits, ledger. Nothing here imports Ray or torch."""

from corpus.document import Document
from corpus.errors import ConfigError, CorpusError, InputError, IntegrityError, OutputError
from corpus.outcome import Outcome
from corpus.recipe import Recipe
from corpus.run import Run, open_run
from corpus.stage import Limit, Measured, Stage, ratio
from corpus.warc.reader import read_warc
from corpus.warc.record import Damage, Record

__all__ = [
    "ConfigError",
    "CorpusError",
    "Damage",
    "Document",
    "InputError",
    "IntegrityError",
    "Limit",
    "Measured",
    "Outcome",
    "OutputError",
    "Recipe",
    "Record",
    "Run",
    "Stage",
    "open_run",
    "ratio",
    "read_warc",
]
