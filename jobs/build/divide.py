"""The division of inputs into units, by tasks.

One task divides the inputs of a volume. It looks up those inputs that the driver has not looked up, and commits the
division, so that a later run does not read them again for it. A task for a volume whose units are all done only checks
that its inputs have not changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

from corpus.documents.columns import Columns
from corpus.net.client import Client
from corpus.net.urls import redact
from corpus.sandbox.captures import is_same, name_of_captures
from corpus.sandbox.unit import Unit
from corpus.storage.commits import Commit, Part, commit, commit_key, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.gathered import digest_of, gathered
from corpus.storage.store import Store, open_store
from corpus.tables.ledger import add_counts, no_counts
from corpus.warc.chosen import CHOSEN_FORMAT
from corpus.warc.source import digest_of_samples, digest_of_start, input_changed
from jobs.build.choose import VolumeCaptures
from jobs.build.contents import plan_units
from jobs.build.inputs import Input, look_up, together


@dataclass(frozen=True)
class Divided:
    """An input as its task returns it: its size, identity and tag, and its units."""

    item: Input
    form: tuple[str, str, str] = ("", "", "")
    """The layout, the codec and the flavor."""
    ranges: list[tuple[int, int]] = field(default_factory=list)
    chosen: list[str] = field(default_factory=list)
    """The name of the captures of each unit, if an index chose them."""

    def units(self, columns: Columns | None) -> list[Unit]:
        item, named = self.item, json.dumps(columns.as_dict()) if columns is not None else ""
        chosen = self.chosen or [""] * len(self.ranges)
        return [
            Unit(item.name, item.path, item.identity, *self.form, start, end, item.tag, named, captures)
            for (start, end), captures in zip(self.ranges, chosen, strict=True)
        ]


def divide_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Divide inputs of a volume, or check the inputs of a volume that is done. If pages were chosen, only the archives
    that have such pages are looked up and returned.

    `first` is the number of the first of these inputs in the volume.

    Raises InputChanged if an input is not the one that was divided.
    """
    store, chosen = open_store(payload["store"]), payload["chosen"]
    columns = Columns.from_dict(payload["columns"]) if payload["columns"] else None
    items = [Input(**one) for one in payload["inputs"]]
    key = commit_key("divided", {"inputs": [item.name for item in items]}, payload["depends"])
    done = read_commit(store, key)
    first, captures = payload["first"], None
    if chosen and done is None:
        captures = VolumeCaptures(store, chosen, payload["volume"], range(first, first + len(items)))
        items = [items[number - first] for number in captures.archives]
        if not items:
            return {"inputs": [], "divided": [], "captures": 0}
    elif done is not None:
        there = {entry["name"] for entry in done.facts["inputs"]}
        items = [item for item in items if item.name in there]
    identify = digest_of_start if chosen else digest_of_samples
    with Client() as client:
        locations = [item.path for item in items]
        items = together(
            lambda item: item if item.identity else look_up(item, client, identify), items, locations, client
        )
        if done is None:
            reached("division_begun")
            if captures is not None:
                done = _commit_captures(store, key, captures, items, payload["unit_bytes"])
            else:
                units = together(
                    lambda item: plan_units(item, payload["unit_bytes"], columns, client), items, locations, client
                )
                facts = {"inputs": [_entry(item, own) for item, own in zip(items, units, strict=True)]}
                done = commit(store, key, [], facts)
    for item, entry in zip(items, done.facts["inputs"], strict=True):
        if [item.size, item.identity] != [entry["bytes"], entry["identity"]]:
            raise input_changed(redact(item.path), "since the run read it")
    made: dict[str, Any] = {"inputs": [asdict(item) for item in items]}
    if chosen:
        made |= {"captures": done.facts["captures"], "file": asdict(done.part("captures"))}
    if payload["gathered"]:
        return {**made, **_checked(store, payload["gathered"], items)}
    return {**made, "divided": [[entry["form"], entry["ranges"]] for entry in done.facts["inputs"]]}


def _commit_captures(store: Store, key: str, captures: VolumeCaptures, items: list[Input], unit_bytes: int) -> Commit:
    part, ranges = captures.write(store, unit_bytes)
    form = [CHOSEN_FORMAT.layout, CHOSEN_FORMAT.codec, CHOSEN_FORMAT.flavor]
    entries = [{**_described(item), "form": form, "ranges": own} for item, own in zip(items, ranges, strict=True)]
    return commit(store, key, [part], {"inputs": entries, "captures": len(captures)})


def _entry(item: Input, units: list[Unit]) -> dict[str, Any]:
    first = units[0]
    form, ranges = [first.layout, first.codec, first.flavor], [[unit.start, unit.end] for unit in units]
    return {**_described(item), "form": form, "ranges": ranges}


def _described(item: Input) -> dict[str, Any]:
    return {"name": item.name, "bytes": item.size, "identity": item.identity}


def _checked(store: Store, key: str, items: list[Input]) -> dict[str, Any]:
    """Check what the units of a volume have seen of its inputs, and return the sums of their facts."""
    there = {item.name: item for item in items}
    commits = gathered(store, key)
    counts = no_counts()
    for one in commits:
        seen, item = one.facts.get("seen"), there[one.facts["unit"]["warc"]]
        if seen and not is_same(store, one.facts["unit"]["chosen"], seen, item.path, item.tag):
            raise input_changed(redact(item.path), "since the run read it")
        add_counts(counts, one.facts["counts"])
    seconds = sum(one.facts["seconds"] for one in commits)
    return {"units": len(commits), "digest": digest_of(commits), "counts": counts, "seconds": seconds}


def divided_of(result: Mapping[str, Any]) -> list[Divided]:
    """Return the inputs in the result of `divide_task`, with their units unless these are done."""
    items = [Input(**one) for one in result["inputs"]]
    own = result.get("divided") or [[("", "", ""), []]] * len(items)
    file, boxes = Part(**result["file"]) if "file" in result else None, count()
    return [
        Divided(item, form, ranges, [name_of_captures(file, next(boxes)) for _ in ranges] if file is not None else [])
        for item, (form, ranges) in zip(items, own, strict=True)
    ]
