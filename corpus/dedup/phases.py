"""The phases of a comparison, in order, and what a task of each phase does.

A comparison of documents:

    bands       turns signatures into band keys and text hashes, and sends each to the task of its range
    candidates  turns equal keys into edges
    twins       finds equal texts, and sends each twin and its leader to their groups
    components  turns edges into the component of each document (or in rounds: large, small, labels)
    members     sends the signatures of documents in components to the task of their component
    verify      decides which members of a component stay, and sends the verdicts to the groups of the documents
    verdicts    writes the verdicts of each unit, for the pack phase
    sites       counts removed documents by domain
    index       writes the signatures of kept documents, for later runs

A comparison of lines:

    linekeys    sends the distinct lines of a group's documents to the task of their range of hashes
    repeats     finds lines that enough documents have, and sends them to the groups that have them
    losers      finds documents that would lose too much, and the first other document with each repeated line
    keepers     finds the keeper of each line, and sends it to the groups that have the line (only with keep = "first")
    cuts        writes the verdicts of each unit, for the pack phase

Among many tasks, a phase `relay` comes between two phases (`corpus.storage.exchange`).

Phases exchange data only through committed files. The number of documents and the memory of a task decide how many
tasks a phase has. The number of tasks does not change the result.
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
from corpus.dedup.task import RELAYED, ComparisonTask
from corpus.dedup.unit_verdicts import sites, verdicts
from corpus.dedup.verify import verify_components
from corpus.storage.commits import Commit
from corpus.storage.exchange import relay
from corpus.storage.task_commits import Made, committed


def relay_files(task: ComparisonTask) -> Made:
    """Copy the boxes of some readers from the files of some tasks into one file."""
    own = task.payload
    files = task.parts(own["phase"], own["kind"])[slice(*own["writers"])]
    readers = range(*own["readers"])
    return [relay(task.store, f"{RELAYED}{own['kind']}", files, readers, own["memory_bytes"])], {}


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
    "relay": relay_files,
}


def run_task(task: ComparisonTask) -> Commit:
    """Return the commit of a task: the existing one, or a new one."""
    return committed(task, lambda: _PHASES[task.kind](task))
