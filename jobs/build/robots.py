"""An index of robots.txt from archives of a crawl, for the stage `rights`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from corpus.errors import ConfigError
from corpus.net.remote import open_source
from corpus.storage.store import as_json
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters.rights.robots import FACTS, FILE, VERSION, SiteFiles
from jobs.build.inputs import find_inputs
from jobs.runner.folder import claim, open_folder
from jobs.runner.progress import Progress


def index_robots(inputs: Iterable[str], out: Path, progress: Progress) -> dict[str, Any]:
    """Write an index of the archives, and return its facts. An index of the same archives stays as it is.

    Raises OutputError if the folder has other files, or an index of other archives.
    """
    items = find_inputs(inputs)
    sources = [{"name": item.name, "bytes": item.size, "identity": item.identity} for item in items]
    store = open_folder(out)
    with store.only_run():
        finished = claim(store, {"version": VERSION, "inputs": sources}, FACTS, beside={FILE})
        if finished is not None:
            return finished
        files = SiteFiles()
        progress.start("robots.txt", len(items))
        for item in items:
            with closing(open_source(item.path, item.name, tag=item.tag)) as source:
                for record in read_warc(source):
                    if isinstance(record, Record):
                        files.add(record)
            progress.unit_done()
        progress.end()
        facts = files.write(out)
        if not facts["sites"]:
            store.remove(".work")
            (out / FILE).unlink()
            what = "The archives hold no robots.txt and no tdmrep.json."
            raise ConfigError(what, "Name archives from the folders robotstxt/ of a crawl.")
        facts["plan"] = {"version": VERSION, "inputs": sources}
        store.put_new(FACTS, as_json(facts))
        store.remove(".work")
    return facts


def robots_setting(given: Iterable[str], out: Path | str, progress: Progress) -> str:
    """Return the path of the index for `--robots`: the given one, or one that is made from archives beside `out`.

    Raises ConfigError if archives are given and `out` is in a bucket.
    """
    places = list(given)
    if len(places) == 1 and (Path(places[0]) / FACTS).is_file():
        return places[0]
    if not isinstance(out, Path):
        todo = "Make the index first, with `corpus robots index`, and give its folder."
        raise ConfigError("An index can't be made beside a corpus in a bucket.", todo)
    folder = out.with_name(f"{out.name}.robots")
    index_robots(places, folder, progress)
    return str(folder)
