"""Ask from Python what other limits would change in a finished run.

    python examples/tune.py out gopher_quality.words.min=30

`run.dataset("ledger")` is a lazy Arrow dataset. DuckDB and polars read it as it is.
"""

import sys

import duckdb
import polars

from corpus import open_run


def main(folder: str, *settings: str) -> None:
    """Print what changes, why one page is where it is, and two questions to the ledger."""
    run = open_run(folder)
    found = run.tune(settings or {"gopher_quality.words.min": 30})
    least, most = found.kept
    print(f"{found.before} pages are kept; with the new limits {least if found.exact else f'{least} to {most}'}")
    for rule in found.rules.to_pylist():
        print(f"{rule['rule']}: {rule['before']} -> {rule['now']}: {rule['lost']} lost, {rule['gained']} gained")
    for example in found.examples.to_pylist()[:1]:
        [row, *_] = run.explain(example["id"])
        print(f"for example {row['url']}, {row['outcome']} so far at {row['stage']}.{row['rule']}")

    ledger = run.dataset("ledger")  # noqa: F841 (DuckDB finds it by its name)
    print(duckdb.sql("SELECT stage, count(*) AS pages FROM ledger GROUP BY stage ORDER BY pages DESC LIMIT 3"))
    kept = polars.scan_pyarrow_dataset(run.dataset("ledger")).filter(polars.col("outcome") == "kept")
    print(kept.select(polars.col("text_bytes").sum()).collect())


if __name__ == "__main__":
    main(*sys.argv[1:])
