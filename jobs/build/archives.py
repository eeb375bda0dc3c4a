"""The archives of a finished run, whose pages can be read again."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from corpus.errors import ConfigError, InputChanged, InputError
from corpus.net.urls import is_url, redact
from corpus.outcome import DROPPED, FAILED, REMOVED, SKIPPED
from corpus.plugins import Plugin
from corpus.revise.portion_replay import PageReader, place_of
from corpus.run import Run
from corpus.sandbox.guard import Guard
from corpus.sandbox.page_worker import make_recipe
from corpus.sandbox.unit import Unit
from corpus.tables.takedown import TAKEDOWN_FILE
from jobs.build.contents import plan_units
from jobs.build.inputs import check_unchanged, find_in_run
from jobs.build.plan import columns_of


class Archives:
    """The archives that a run read, each as one unit. Archives are located only when they are needed."""

    def __init__(self, run: Run, inputs: Sequence[str]) -> None:
        """`inputs` are the present places of the archives, if they have moved."""
        self._run = run
        self._inputs = inputs
        self.found: dict[str, Unit] = {}

    def units(self, names: Iterable[str]) -> dict[str, Unit]:
        """Return each of these archives as one unit.

        Raises InputError for an archive that is missing or has changed.
        """
        names = list(names)
        missing = [name for name in names if name not in self.found]
        if missing:
            past = self._run.locations()
            locations = self._inputs or [past[name] for name in missing if past.get(name)]
            strange = [url for url in locations if is_url(url)] if not self._inputs else []
            if strange:  # a folder from a stranger must not send this user's credentials anywhere
                raise InputError(
                    f"Some pages must be read again, from {redact(strange[0])} as the run's timings.json says.",
                    "If you trust that file, name the archives with --inputs.",
                )
            inputs = self._run.info["inputs"]
            there = find_in_run(locations, inputs) if locations else {}
            known = {item["name"]: item["identity"] for item in inputs}
            for name in missing:
                if name not in there:
                    raise InputError(
                        f"Some pages of {name} must be read again.", "Give its present place with --inputs."
                    )
                if there[name].identity != known[name]:
                    raise InputChanged(
                        f"{name} is not the archive that the run read.", "Give the right archive with --inputs."
                    )
            check_unchanged(self._run.store, [there[name] for name in missing])
            for name in missing:
                self.found[name] = plan_units(there[name], 1 << 60, columns_of(self._run.info))[0]
        return {name: self.found[name] for name in names}


class PageBlock(NamedTuple):
    """A block of text of a page, with its tag, the chance in 4096ths that it is main text, and whether it was taken."""

    text: str
    tag: str
    chance: int
    taken: bool


def read_texts(
    run: Run, rows: Sequence[dict[str, Any]], inputs: Sequence[str], modules: Sequence[Plugin],
    factory: str = "filters:recipe_from_dict",
) -> dict[str, str]:  # fmt: skip
    """Return the texts of pages that the run dropped, by id. The text of a page is what the stages make if no limit
    drops the page.

    `rows` are ledger rows. Pages that were taken down, and pages that no stage has judged, have no text here. Raises
    InputError if an archive is missing.
    """
    wanted = [row for row in rows if row["outcome"] in (DROPPED, FAILED) and row["stage"] != REMOVED]
    wanted = [row for row in wanted if row["rule"] != "damaged"]
    return read_again(run, wanted, inputs, without_limits(run.info["recipe"]), modules, factory)


def read_blocks(run: Run, rows: Sequence[dict[str, Any]], inputs: Sequence[str]) -> dict[str, list[PageBlock]]:
    """Return all blocks of text of each page whose main text was chosen among them, by the page's id.

    `rows` are ledger rows. Raises ConfigError if the run's engine of extraction is another one, and InputError if an
    archive is missing.
    """
    stages = [stage for stage in run.info["recipe"]["stages"] if stage.get("engine") == "blocks"]
    if not stages:
        raise ConfigError("This run did not choose its texts by blocks.", 'Build a run with extract.engine = "blocks".')
    recipe = without_limits(
        {"name": "blocks", "stages": [stages[0] | {"format": "blocks", "metadata": False, "links": False}]}
    )
    wanted = [row for row in rows if row["outcome"] != SKIPPED and row["rule"] != "damaged" and row["stage"] != REMOVED]
    texts = read_again(run, wanted, inputs, recipe, (), "filters:recipe_from_dict")
    return {name: [PageBlock(*json.loads(line)) for line in text.splitlines()] for name, text in texts.items()}


class PagesAgain:
    """A reader of pages of a finished run, by a recipe of its own. Its page worker lives until `close`.

    Not thread-safe.
    """

    def __init__(
        self, run: Run, inputs: Sequence[str], recipe: dict[str, Any], modules: Sequence[Plugin], factory: str
    ) -> None:
        own = [[module.name, module.source] for module in modules]
        self._archives = Archives(run, inputs)
        self._removed = str(run.store.local(TAKEDOWN_FILE)) if run.store.size(TAKEDOWN_FILE) is not None else ""
        self._guard = Guard(make_recipe(factory, recipe, own).canonical(), factory, modules=own)

    def texts(self, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
        """Return the texts that the recipe makes of pages, by id. `rows` are ledger rows of judged pages. Raises
        InputError if an archive is missing."""
        texts: dict[str, str] = {}
        for name, unit in self._archives.units(dict.fromkeys(row["warc"] for row in rows)).items():
            places = sorted(place_of(row) for row in rows if row["warc"] == name)
            tables, _ = PageReader(self._guard, unit, self._removed).read(places, ["ledger", "corpus"])
            texts |= {row["id"]: row["text"] for row in tables["corpus"].select(["id", "text"]).to_pylist()}
        return texts

    def close(self) -> None:
        self._guard.close()


def read_again(
    run: Run, rows: Sequence[dict[str, Any]], inputs: Sequence[str], recipe: dict[str, Any],
    modules: Sequence[Plugin], factory: str,
) -> dict[str, str]:  # fmt: skip
    """Return the texts that a recipe makes of pages of a run, by id (see `PagesAgain.texts`)."""
    if not rows:
        return {}
    with closing(PagesAgain(run, inputs, recipe, modules, factory)) as pages:
        return pages.texts(rows)


def without_limits(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe whose limits are all switched off."""
    changed = copy.deepcopy(recipe)
    tables = [own for stage in changed["stages"] for own in (stage, *stage.get("by_language", {}).values())]
    for key, limit in [pair for table in tables for pair in table.items()]:
        if isinstance(limit, dict) and key != "by_language":
            limit.update(dict.fromkeys(limit, "off"))
    return changed
