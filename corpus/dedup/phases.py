"""The phases of a comparison, in order, and the work that a task of each does.

Of documents:

    bands       signatures → band keys and text hashes, each sent to the task of its range
    candidates  equal keys → edges
    twins       equal texts → twins
    components  edges → the component of each document that has any (or in rounds: large, small, labels)
    members     the signatures of those documents, sent to the task of their component
    verify      components → verdicts with evidence, sent back to where the documents are
    verdicts    the verdicts of each unit, for the pack phase
    sites       removed documents by domain
    index       signatures of kept documents, for later runs

Of lines:

    linekeys    the different lines of a group's documents, sent to the task of their range of hashes
    repeats     lines that enough documents have, sent back to the groups that have them
    losers      documents that would lose too much; for the others, where each repeated line first is
    keepers     the first document over all groups that keeps each line, sent back to the groups (keep = "first")
    cuts        the verdicts of each unit, for the pack phase

Everything between phases lies in committed files. The number of tasks follows from the number of documents and the
memory that a task may take, and changes nothing in the result.
"""

from __future__ import annotations

from collections.abc import Callable

from corpus.dedup.bands import bands
from corpus.dedup.candidates import candidates, twins
from corpus.dedup.components import components, large_star, small_star, star_labels
from corpus.dedup.cuts import cuts
from corpus.dedup.index_writer import index_part
from corpus.dedup.members import members
from corpus.dedup.repeats import keepers, line_keys, losers, repeats
from corpus.dedup.task import ComparisonTask
from corpus.dedup.unit_verdicts import sites, verdicts
from corpus.dedup.verify import verify_components
from corpus.storage.commits import Commit
from corpus.storage.task_commits import Made, committed

_PHASES: dict[str, Callable[[ComparisonTask], Made]] = {
    "bands": bands,
    "candidates": candidates,
    "twins": twins,
    "components": components,
    "large": large_star,
    "small": small_star,
    "labels": star_labels,
    "members": members,
    "verify": verify_components,
    "verdicts": verdicts,
    "sites": sites,
    "index": index_part,
    "linekeys": line_keys,
    "repeats": repeats,
    "losers": losers,
    "keepers": keepers,
    "cuts": cuts,
}


def run_task(task: ComparisonTask) -> Commit:
    """Return the commit of a task: the existing one, or a new one."""
    return committed(task, lambda: _PHASES[task.kind](task))
