"""`corpus tune` and `corpus diff`, printed for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corpus.revise.differences import Diff, Returned
from corpus.revise.takedowns import Found
from corpus.revise.what_if import WhatIf
from jobs.runner.terminal import plain

_SHOWN_URLS = 50


def show_tuned(found: WhatIf, console: Console) -> None:
    """Print the totals, the changed rules, the moves, and URLs of pages lost, gained or open."""
    for line in found.changes or ["nothing changes: the run already has these limits"]:
        console.print(Text(line))
    console.print()
    least, most = found.kept
    now = f"{least:,}, exactly" if found.exact else f"between {least:,} and {most:,}"
    console.print(Text(f"kept {found.before:,} → {now}", style="bold"))
    certain, passing = found.passing
    if passing > certain:
        why = f"open pages: {passing - certain:,}. They ended at a changed rule, and their later measures are unknown"
    else:
        why = f"pages that pass every rule, before duplicates are removed: {certain:,}, exactly"
    console.print(Text(why, style="dim"))
    if found.repeats:
        console.print(Text(f"how many of them are duplicates is not known exactly ({found.repeats})", style="dim"))
    if found.rules.num_rows:
        console.print()
        console.print(_rules(found))
    if found.moves.num_rows:
        console.print()
        _show_moves(found.moves.to_pylist(), 12, console)
    for row in found.together.to_pylist():
        if len(row["rules"]) > 1:
            console.print(f"{row['kind']} by several rules at once: {row['documents']:,}  {' + '.join(row['rules'])}")
    for kind in ("lost", "gained", "open"):
        rows = [row for row in found.examples.to_pylist() if row["kind"] == kind]
        if rows:
            console.print()
            console.print(Text(f"{kind}, for example", style="bold"))
        for row in rows:
            console.print(_line(f"  {row['rule']} {row['value']}  {row['url'] or row['id']}"))


def _rules(found: WhatIf) -> Table:
    table = Table("rule", "changed", "lost", "by it alone", "gained", "by it alone", "open", "held by others", "text",
                  box=None, header_style="dim")  # fmt: skip
    counts = ("lost", "lost_by_it_alone", "gained", "gained_by_it_alone", "open", "held_by_others")
    for row in found.rules.to_pylist():
        size = row["gained_bytes"] - row["lost_bytes"]
        text = f"{size / 1e6:+,.2f} MB{' or more' if row['unsized'] else ''}"
        table.add_row(row["rule"], _changed(row["rule"], found), *(f"{row[name]:,}" for name in counts), text)
    return table


def _changed(rule: str, found: WhatIf) -> str:
    """Return the changed bounds of a rule, such as `min 50 → 30`."""
    lines = [line.removeprefix(f"{rule}.") for line in found.changes if line.startswith(f"{rule}.")]
    return ", ".join(line.replace(":", "", 1).replace('"', "") for line in lines)


def show_diff(found: Diff, console: Console) -> None:
    """Print how many documents moved, each move with its first URL, and how many texts changed."""
    for line in found.recipe:
        console.print(Text(line))
    (documents, others), (kept, now) = found.documents, found.kept
    console.print(Text(f"records {documents:,} → {others:,}, kept {kept:,} → {now:,}", style="bold"))
    console.print(f"{found.same:,} records end at the same rule in both runs")
    _show_moves(found.as_dict()["moves"], 30, console)
    console.print(f"{found.same_text:,} pages kept in both runs have the same text, {found.other_text:,} another text")
    for url in found.text_examples:
        console.print(_line(f"  {url}"))


def show_removal(
    found: Sequence[Found], copies: Sequence[dict[str, Any]], copies_go: bool, back: Sequence[Returned],
    console: Console,
) -> None:  # fmt: skip
    """Print the result of a takedown.

    It has each entry that found nothing, with similar URLs or domains; the copies of removed pages; and the pages that
    come back because a removed page had displaced them.
    """
    for one in found:
        if one.nothing:
            console.print(Text(plain(f"{one.entry.text} matches no page. {'Near it:' if one.near else ''}"), "red"))
            _show_urls(one.near, console)
    unmatched = sum(one.nothing for one in found)
    console.print(Text(f"{len(found):,} entries given, {unmatched:,} of them match no page.", "bold"))
    if copies:
        end = "go too" if copies_go else "are kept, in the corpus or as duplicates"
        console.print(f"{len(copies):,} other pages with the text of a removed page {end}:")
        _show_urls([row["url"] or row["id"] for row in copies], console)
    if back:
        console.print(
            f"{len(back):,} pages come back, or get lines back, because the page that they repeated is removed:"
        )
        _show_urls([one.url or one.id for one in back], console)
    if back or (copies and not copies_go):
        console.print("To remove them too, give a list of their URLs. --copies removes such pages at once.")


def _show_urls(urls: Sequence[str], console: Console) -> None:
    for url in urls[:_SHOWN_URLS]:
        console.print(_line(f"  {url}"))
    if len(urls) > _SHOWN_URLS:
        console.print(Text(f"  and {len(urls) - _SHOWN_URLS:,} more; --json prints all of them", style="dim"))


def _show_moves(rows: list[dict[str, Any]], most: int, console: Console) -> None:
    """Print the first `most` moves, each with its first URL if there is one."""
    example = "for example" if any("examples" in row for row in rows) else ""
    table = Table("ended at", "ends at", "records", example, box=None, header_style="dim")
    for row in rows[:most]:
        table.add_row(row["from"], row["to"], f"{row['documents']:,}", _line(*row.get("examples", [])[:1]))
    if rows:
        console.print(table)
    if len(rows) > most:
        console.print(Text(f"and {len(rows) - most:,} more; --json prints all of them", style="dim"))


def _line(text: str = "") -> Text:
    """Return text from a page as one line, cut to the width of the terminal."""
    return Text(plain(text), overflow="ellipsis", no_wrap=True)
