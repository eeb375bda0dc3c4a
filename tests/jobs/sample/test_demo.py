"""The named recipes give every page of the sample crawl its expected outcome."""

import io
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from corpus.run import open_run
from corpus.runs.listing import cut_archives
from corpus.tables.mask import mask_url
from corpus.tables.samples import EXCERPT_CHARS
from filters import load_recipe
from jobs.build.build import build
from jobs.build.plan import Job
from jobs.runner.progress import Progress
from jobs.sample.crawl import expected_outcomes, write_sample
from jobs.show.runs import remarks, show_funnel
from tests.engines import InProcess


@pytest.fixture(scope="module", params=["default", "fineweb"])
def demo(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_sample(folder / "sample.warc.gz")
    job = Job(load_recipe(request.param), [str(folder / "sample.warc.gz")], folder / "out", workers=2)
    assert build(job, lambda: InProcess(), Progress(quiet=True)).exit_code == 0
    return open_run(folder / "out")


@pytest.fixture(scope="module")
def rows(demo):
    return demo.ledger().to_pylist()


SCANT = {"page:login", "page:gallery"}
"""Pages with so little text that it depends on the engine of extraction which rule drops them."""


def test_every_page_ends_where_it_was_made_to_end(demo, rows):
    found = defaultdict(list)
    for row in rows:
        fate = {"dropped": f"{row['stage']}.{row['rule']}", "failed": row["rule"]}.get(row["outcome"], row["outcome"])
        found[row["url"]].append(fate)
    clusters = defaultdict(list)
    wrong = []
    for page in expected_outcomes():
        fates = found[mask_url(page.url)]
        if page.intent.startswith("duplicate_of:"):
            clusters[page.intent.removeprefix("duplicate_of:")].append(page.url)
        elif page.intent == "language.label":  # a screen in front does most of the language stage's work
            if not {"screen.wanted_score", "language.label"} & set(fates):
                wrong.append((page.url, page.intent, fates))
        elif demo.info["recipe"]["name"] == "default" and "kept" not in fates and SCANT & set(page.notes):
            continue
        elif page.url and page.intent not in fates:
            wrong.append((page.url, page.intent, fates))
    members = {first: {first, *others} for first, others in clusters.items()}
    firsts = set(members)
    assert [entry for entry in wrong if entry[0] not in firsts] == []
    for cluster in members.values():  # the keeper rule chooses which one is kept
        fates = sorted(fate for url in cluster for fate in found[mask_url(url)])
        assert fates == ["kept", *["minhash.similarity"] * (len(cluster) - 1)]


def test_every_stage_drops_something(demo):
    dropped = set(demo.info["records"]["dropped"])
    # the intents of the pages are those of `fineweb`, which keeps pages that opt out, so no page does
    idle = {"pii", "rights", "decontaminate"}  # without an index, decontaminate is off
    assert dropped == {bound["name"] for bound in demo.info["recipe"]["stages"]} - idle
    assert demo.info["records"]["failed"] == {"damaged": 4}
    assert demo.info["records"]["skipped"] == {"not_http": 1}


def test_duplicates_have_their_evidence(rows):
    kept = {row["id"] for row in rows if row["outcome"] == "kept"}
    removed = [row for row in rows if row["stage"] == "minhash"]
    assert len(removed) == 17
    for row in removed:
        assert row["detail"] in kept
        assert row["minhash.similarity"] >= row["limit"] == 0.7
        assert row["minhash.cluster_size"] >= 2


def test_no_secret_is_in_any_output(demo):
    """No file holds personal data that the recipe removes, neither in its bytes nor in its values."""
    secrets = {secret for page in expected_outcomes() for secret in page.secrets}
    assert len(secrets) >= 8
    raw = []
    for path in sorted(Path(demo.location).rglob("*")):
        if path.is_file():
            raw.append(path.read_bytes())
            if path.suffix == ".parquet":
                raw.append(repr(pq.read_table(path).to_pylist()).encode())
    everything = b"".join(raw).decode(errors="replace")
    assert [secret for secret in secrets if secret in everything] == []


def test_personal_data_is_counted(rows):
    kept = [row for row in rows if row["outcome"] == "kept"]
    for kind in ("email", "phone", "ip_address", "credit_card", "iban", "us_ssn", "crypto"):
        assert sum(row[f"pii.{kind}"] for row in kept) >= 1, kind


def test_kept_pages_hold_their_text_and_no_boilerplate(demo):
    texts = {row["url"]: row["text"] for row in demo.corpus().to_pylist()}
    checked = 0
    for page in expected_outcomes():
        text = texts.get(mask_url(page.url))
        if text is not None and page.intent == "kept" and not page.secrets:
            assert all(part not in text for part in page.absent), page.url
            checked += any(part in text for part in page.contains)
    assert checked > 80


def test_samples_show_each_rule_that_dropped(demo):
    samples = pq.read_table(Path(demo.location) / "samples" / "part-00000.parquet")
    rules = set(samples["rule"].to_pylist())
    dropped = {f"{stage}.{rule}" for stage, by_rule in demo.info["records"]["dropped"].items() for rule in by_rule}
    assert rules == dropped | {"kept"}
    assert max(len(text) for text in samples["excerpt"].to_pylist()) <= EXCERPT_CHARS


def test_output_loads_elsewhere(demo):
    polars = pytest.importorskip("polars")
    duckdb = pytest.importorskip("duckdb")
    pattern = f"{demo.location}/corpus/*.parquet"
    assert len(polars.read_parquet(pattern)) == demo.info["records"]["kept"]
    assert duckdb.sql(f"select count(*) from '{pattern}'").fetchall()[0][0] == demo.info["records"]["kept"]


def test_output_loads_in_datasets(demo, tmp_path):
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset(
        "parquet", data_files=f"{demo.location}/corpus/*.parquet", split="train", cache_dir=str(tmp_path)
    )
    assert found.num_rows == demo.info["records"]["kept"]
    assert pa.types.is_string(found.features.arrow_schema.field("text").type)


def test_the_funnel_of_the_readme_is_this_one(demo):
    if demo.info["recipe"]["name"] != "default":
        pytest.skip("the README shows the default recipe")
    console = Console(width=120, file=io.StringIO())
    show_funnel(demo.info, console)
    printed = "\n".join(line.rstrip() for line in console.file.getvalue().rstrip().split("\n"))
    printed = "\n".join([printed, *remarks(demo.info, cut_archives(demo))])
    assert printed in (Path(__file__).parents[3] / "README.md").read_text()
