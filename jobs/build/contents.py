"""What inputs hold: the columns of documents, and the units into which each input is divided."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import chain

from corpus.documents.columns import Columns, choose_columns
from corpus.documents.files import HTML_FILE, PAGE, as_stored, columns_in, format_of, plan_documents
from corpus.errors import ConfigError, InputChanged, InputError, InputUnreachable
from corpus.net.client import Client
from corpus.net.remote import open_source
from corpus.sandbox.unit import JUNK, Unit
from corpus.warc.plan import FilePlan, Format, plan
from jobs.build.inputs import ARCHIVE_NAME, Input, together


def find_columns(items: Sequence[Input], asked: Mapping[str, str], keep: Sequence[str] = ()) -> Columns | None:
    """Return the columns of documents, or None for archives. The first table that can be read decides the names.
    `asked` and `keep` are the user's own choices.

    Raises ConfigError if archives and documents are mixed, or a column is missing, and InputError if no file has
    columns.
    """
    forms = [format_of(item.name) for item in items]
    kinds = {form.layout == PAGE if form else None: item.name for form, item in zip(forms, items, strict=True)}
    if len(kinds) > 1:
        names = " and ".join(sorted(kinds.values()))
        raise ConfigError(f"A run reads archives, tables or pages of HTML, but not {names} together.", "Make two runs.")
    if None in kinds or True in kinds:
        if asked or keep:
            part = min(asked, default="keep-columns")
            raise ConfigError(f"--{part} names a column, but {min(kinds.values())} has none.", f"Leave out --{part}.")
        strange = next((item for item in items if None in kinds and not ARCHIVE_NAME.fullmatch(item.name)), None)
        if strange is not None:
            _plan(strange, 1 << 60, None, None)  # raises unless the file is an archive despite its name
        return HTML_FILE if True in kinds else None
    unread: InputError | None = None
    for item, form in zip(items, forms, strict=True):
        assert form is not None
        with closing(open_source(item.path, item.name, tag=item.tag)) as source:
            try:
                if source.size and (there := columns_in(source, as_stored(source, form))):
                    return choose_columns(there, asked, item.name, keep)
            except (InputChanged, InputUnreachable):
                raise
            except InputError as error:  # one damaged file costs only a row
                unread = unread or error
    raise unread or InputError(
        "No input holds a document.", "Give files of parquet or JSON Lines with at least one row."
    )


def plan_all(items: Sequence[Input], unit_bytes: int, columns: Columns | None = None) -> list[Unit]:
    """Return the units of inputs, in order. `columns` are those of documents.

    Raises InputError if none of the files is an archive, or a file does not hold documents.
    """
    with Client() as client:
        paths = [item.path for item in items]
        planned = together(lambda item: plan_units(item, unit_bytes, columns, client), items, paths, client)
        units = list(chain.from_iterable(planned))
        if units and columns is None and all(unit.layout == JUNK for unit in units):
            _plan(items[0], unit_bytes, None, client)  # raises, and says what the file is instead
    return units


def plan_units(
    item: Input, unit_bytes: int, columns: Columns | None = None, client: Client | None = None
) -> list[Unit]:
    """Return the units of an archive, or of a file of documents.

    A file that is not an archive is refused unless it has an archive's name. Then the file is one unit with one damage.
    """
    try:
        planned = _plan(item, unit_bytes, columns, client)
    except (InputChanged, InputUnreachable):
        raise
    except InputError:
        if columns is None and not ARCHIVE_NAME.fullmatch(item.name):
            raise
        return [_unit(item, Format(JUNK, "plain", "warc"), 0, item.size, columns)]
    return [_unit(item, planned, span.start, span.end, columns) for span in planned.ranges]


def _plan(item: Input, unit_bytes: int, columns: Columns | None, client: Client | None) -> FilePlan:
    form = format_of(item.name) if columns is not None else None
    with closing(open_source(item.path, item.name, tag=item.tag, client=client)) as source:
        if columns is not None and form is not None:
            return plan_documents(source, as_stored(source, form), columns, unit_bytes)
        return plan(source, unit_bytes)


def _unit(item: Input, form: Format, start: int, end: int, columns: Columns | None) -> Unit:
    named = json.dumps(columns.as_dict()) if columns is not None else ""
    return Unit(item.name, item.path, item.identity, form.layout, form.codec, form.flavor, start, end, item.tag, named)
