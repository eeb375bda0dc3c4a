"""The report's numbers are those of run.json and of the ledger, whatever the run; the page is the same every time."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise, zip_longest
from pathlib import Path

import lxml.html
import pyarrow.parquet as pq
import pytest

from corpus.errors import OutputError
from corpus.plugins import read_plugin
from corpus.run import open_run
from corpus.stage import Limit
from corpus.tables.ledger import ledger_schema, total
from corpus.tables.samples import EXCERPT_CHARS
from filters import load_recipe
from jobs.build.build import build
from jobs.build.plan import Job
from jobs.cli import main
from jobs.report.gather import gather, run_name
from jobs.report.render import render, write_report
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress
from tests.engines import InProcess
from tests.jobs.build.test_build import build_quietly, job
from tests.ledgers import recipe
from tests.reports import pages, sample, seal, write_part, write_run
from tests.warcs import WORDS, page, write_warc

EXAMPLES = Path(__file__).parents[3] / "examples"
KINDS = {"int": int, "float": float, "str": str}


def report(folder):
    """The parsed page of a run."""
    write_report(open_run(folder), folder / "report.html")
    return lxml.html.fromstring((folder / "report.html").read_text())


def facts(html):
    """Every number on the page that has a name. A number that is shown twice is the same."""
    found = {}
    for cell in html.xpath("//*[@data-fact]"):
        value = cell.get("data-value")
        assert found.setdefault(cell.get("data-fact"), value) == value
    return {fact: int(value) for fact, value in found.items() if value.isdigit()}


class Reference:
    """The same numbers, counted row by row with the limits of the contract."""

    def __init__(self, run):
        self.info = run.info
        self.rows = run.ledger().to_pylist()
        self.limits, self.limits_of = {}, {}
        self.stage_of = {}
        for column, kind in run.info["columns"].items():
            stage, _, measure = column.partition(".")
            table = next(one for one in run.info["recipe"]["stages"] if one["name"] == stage)
            self.limits[column] = Limit(of=KINDS[kind]).with_bounds(column, table[measure])
            for code, changes in table.get("by_language", {}).items():
                own = self.limits[column].with_bounds(column, changes.get(measure, {}))
                self.limits_of.setdefault(code, {})[column] = own
            self.stage_of[column] = stage
        self.stages = list(dict.fromkeys(self.stage_of.values()))
        self.dropped = [row for row in self.rows if row["outcome"] == "dropped"]

    def broken(self, row):
        limits = {**self.limits, **self.limits_of.get(row.get(self.info["language"]), {})}
        found = {column for column, limit in limits.items() if limit.broken_by(row[column])}
        return found | {f"{row['stage']}.{row['rule']}"}

    def went_on(self, row):
        after = self.stages[self.stages.index(row["stage"]) + 1 :]
        after = [stage for stage in after if stage not in self.info["compared"]]
        if not after or row["stage"] in self.info["compared"]:
            return True
        return any(row[column] is not None for column, stage in self.stage_of.items() if stage in after)

    def rules(self):
        found = Counter()
        for row in self.dropped:
            broken = self.broken(row)
            found.update(f"rule.{column}.outside" for column in broken)
            found.update({f"stage.{self.stage_of[column]}.outside" for column in broken})
            for what in (broken, {self.stage_of[column] for column in broken}):
                if len(what) == 1:
                    (name,) = what
                    name = f"rule.{name}.only" if "." in name else f"stage.{name}.only"
                    found[name] += 1
                    found[f"{name}.partly"] += not self.went_on(row)
        return found

    def spans(self):
        found = Counter()
        sizes = {item["name"]: item["bytes"] for item in self.info["inputs"]}
        for row, after in zip_longest(self.rows, self.rows[1:]):
            same = after is not None and after["warc"] == row["warc"]
            end = after["offset"] if same else sizes[row["warc"]]
            taken = range(row["offset"], end)
            gaps = [range(one["start"], one["end"]) for one in self.info["quarantined"] if one["warc"] == row["warc"]]
            lost = sum(len(range(max(taken.start, gap.start), min(taken.stop, gap.stop))) for gap in gaps)
            found[row["stage"] if row["outcome"] == "dropped" else row["outcome"]] += len(taken) - lost
        return found


def check_all(folder, html):
    """Every number of the page against run.json and the ledger."""
    run = open_run(folder)
    records = run.info["records"]
    reference = Reference(run)
    found = facts(html)
    spans = reference.spans()
    left, left_bytes = records["in"], sum(spans.values())
    assert found["records.in"] == left == len(reference.rows)
    assert found["records.kept"] == records["kept"] == run.corpus().num_rows
    texts = run.corpus(columns=["text"])["text"].to_pylist()
    assert found["texts.bytes"] == sum(len(text.encode()) for text in texts)
    steps = [outcome for outcome in ("skipped", "failed") if records[outcome]]
    for step in [*steps, *(table["name"] for table in run.info["recipe"]["stages"])]:
        count = total(records[step] if step in steps else records["dropped"].get(step, {}))
        left, left_bytes = left - count, left_bytes - spans[step]
        assert found[f"funnel.{step}.dropped"] == count
        assert found[f"funnel.{step}.bytes"] == spans[step]
        assert (found[f"funnel.{step}.left"], found[f"funnel.{step}.left_bytes"]) == (left, left_bytes)
    assert left == records["kept"]
    for outcome in ("failed", "skipped"):
        for kind, count in records[outcome].items():
            assert found[f"records.{outcome}.{kind}"] == count
    for stage, dropped in records["dropped"].items():
        assert found[f"stage.{stage}.dropped"] == total(dropped)
        for rule, count in dropped.items():
            assert found[f"records.dropped.{stage}.{rule}"] == count
    check_rules(reference, html)
    check_measures(reference, html)
    check_domains(reference, html)
    check_archives(reference, html)


def check_rules(reference, html):
    rules, shown = reference.rules(), {**facts(html), **partly(html)}
    for name, count in rules.items():
        assert shown[name] == count, name
    for name, count in shown.items():
        if name.startswith(("rule.", "stage.")) and not name.endswith(".dropped"):
            assert rules[name] == count, name


def partly(html):
    return {f"{cell.get('data-fact')}.partly": int(cell.get("data-partly")) for cell in html.xpath("//*[@data-partly]")}


def check_measures(reference, html):
    cards = {card.get("data-measure"): card for card in html.xpath("//*[@data-measure]")}
    assert set(cards) == set(reference.limits)
    for column, card in cards.items():
        of = {
            outcome: [row[column] for row in reference.rows if row["outcome"] == outcome]
            for outcome in ("kept", "dropped")
        }
        there = {outcome: [value for value in values if value is not None] for outcome, values in of.items()}
        assert int(card.get("data-kept")) == len(there["kept"])
        assert int(card.get("data-dropped")) == len(there["dropped"])
        assert int(card.get("data-null")) == sum(values.count(None) for values in of.values())
        outside = sum(reference.limits[column].broken_by(value) is not None for value in there["dropped"])
        assert int(card.get("data-outside")) == outside
        if card.get("data-edges"):
            edges = [float(edge) for edge in card.get("data-edges").split()]
            for outcome in ("kept", "dropped"):
                bars = [sum(low <= value < high for value in there[outcome]) for low, high in pairwise(edges)]
                assert bars == [int(bar) for bar in card.get(f"data-{outcome}-bars").split()], column
                assert sum(bars) == len(there[outcome])
        for row in card.xpath(".//tr[@data-category]"):
            value = row.get("data-category")
            shown = [int(cell.text_content().replace(",", "")) for cell in row.xpath("./td[contains(@class, 'n')]")]
            assert shown == [there["kept"].count(value), there["dropped"].count(value)]


def check_domains(reference, html):
    judged = [row for row in reference.rows if row["outcome"] in ("kept", "dropped")]
    counts = Counter((".".join(row["url"].split("/")[2].split(".")[-2:]), row["outcome"]) for row in judged)
    rows = html.xpath("//tr[@data-domain]")
    assert rows or not judged
    for row in rows:
        domain = row.get("data-domain")
        assert int(row.get("data-kept")) == counts[domain, "kept"]
        assert int(row.get("data-dropped")) == counts[domain, "dropped"]


def check_archives(reference, html):
    records = Counter(row["warc"] for row in reference.rows)
    kept = Counter(row["warc"] for row in reference.rows if row["outcome"] == "kept")
    rows = html.xpath("//tr[@data-archive]")
    assert {row.get("data-archive") for row in rows} == {item["name"] for item in reference.info["inputs"]}
    for row in rows:
        name = row.get("data-archive")
        assert (int(row.get("data-records")), int(row.get("data-kept"))) == (records[name], kept[name])


def test_limits_of_languages_count_and_are_shown(tmp_path):
    found = [
        {**row, "door.label": "fr" if number % 3 == 0 else row["door.label"]} for number, row in enumerate(pages(800))
    ]
    made = recipe(["door.label=off", "door.fr.label=off"], by_language=True)
    folder = write_run(tmp_path / "run", found, made)
    html = report(folder)
    check_rules(Reference(open_run(folder)), html)
    card = html.xpath("//figure[@data-measure='first.words']")[0]
    assert not card.xpath(".//*[@class='limit' and local-name()='path']")  # no line is right for every language
    assert "min 50 to 90, max 1,000 (by language)" in " ".join(card.text_content().split())
    shown = " ".join(html.get_element_by_id("recipe").text_content().split())
    assert "by language (2)de words max off, min 90; note one of a" in shown


@pytest.mark.parametrize("measures", ["all", "first"])
def test_numbers_equal_run_json_and_ledger(tmp_path, measures):
    gap = {"warc": "w.warc.gz", "start": 100, "end": 103, "record": "w.warc.gz:101"}
    gap |= {"attempts": {"crash": 3}, "reason": "the Ray worker died"}
    made = recipe(measures=measures)
    folder = write_run(tmp_path / "run", pages(800), made, complete=False, quarantined=[gap])
    html = report(folder)
    check_all(folder, html)
    text = html.text_content()
    assert "This run is incomplete" in text
    assert "at w.warc.gz:101, crash 3×: the Ray worker died" in " ".join(text.split())


def test_equal_values_lie_on_the_side_where_the_bound_has_them(tmp_path):
    """Even with all values at the bounds, no kept document is drawn outside."""
    found = [
        {**row, "door.score": 0.6500001, "first.words": words, "first.ratio": 0.3, "last.share": 0.4999}
        for row in pages(60)
        for words in (50, 1000, 1001, 49)
    ]
    html = report(write_run(tmp_path / "run", found))
    card = html.xpath("//figure[@data-measure='first.words']")[0]
    edges = [float(edge) for edge in card.get("data-edges").split()]
    assert {50.0, 1001.0} <= set(edges)
    kept = [int(bar) for bar in card.get("data-kept-bars").split()]
    assert sum(kept[edges.index(50) : edges.index(1001)]) == sum(kept) > 0


def test_the_limit_is_drawn(tmp_path):
    html = report(write_run(tmp_path / "run", pages(300)))
    card = html.xpath("//figure[@data-measure='first.words']")[0]
    assert len(card.xpath(".//*[@class='limit' and local-name()='path']")) == 2
    assert {text.text for text in card.xpath(".//*[@class='bound']")} == {"min 50", "max 1,000"}
    assert card.xpath(".//*[@class='kept']//title")[0].text
    free = html.xpath("//figure[@data-measure='last.count']")[0]
    assert not free.xpath(".//*[@class='limit' and local-name()='path']")


def widths(html, path):
    """The widths of the bars of a kind, with the numbers in the rows that they stand in."""
    found = []
    for row in html.xpath(path):
        width = sum(float(part.get("width")) for part in row.xpath(".//rect[not(@class='track')]"))
        numbers = [int(cell.text_content().replace(",", "")) for cell in row.xpath("./td[contains(@class, 'n')]")[:2]]
        found.append((width, sum(numbers)))
    return found


def test_bars_that_are_compared_have_one_scale(tmp_path):
    rows = [{**row, "door.label": "en" if number % 9 else "de"} for number, row in enumerate(pages(800))]
    html = report(write_run(tmp_path / "run", rows))
    longest = {}
    for row in html.xpath("//table[@class='rules']//tr[not(@class)]"):
        outside = row.xpath("./*[contains(@data-fact, '.outside')]")
        for bar in row.xpath(".//rect[@class='outside']") if outside else ():
            longest[int(outside[0].get("data-value"))] = float(bar.get("width"))
    assert max(longest.values()) == 100
    assert len(longest) > 4
    for count, width in longest.items():
        assert width == pytest.approx(100 * count / max(longest), abs=0.001)
    for path in ("//tr[@data-category]", "//tr[@data-domain]"):
        found = widths(html, path)
        most = max(number for _, number in found)
        assert len({number for _, number in found}) > 1
        for width, number in found:
            assert width == pytest.approx(100 * number / most, abs=0.002)


def test_the_run_is_named_by_its_folder(tmp_path):
    html = report(write_run(tmp_path / "autumn <img src=x onerror=alert(1)>\u202e", pages(60)))
    (heading,) = html.xpath("//h1")
    assert heading.text_content() == "autumn <img src=x onerror=alert(1)>⟨U+202E⟩"
    assert html.xpath("//title")[0].text.startswith("autumn <img src=x onerror=alert(1)>⟨U+202E⟩ – ")
    assert f"Recipe {open_run(next(tmp_path.iterdir())).info['recipe']['name']}." in html.text_content()
    assert str(tmp_path) not in html.text_content()


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("/data/runs/autumn", "autumn"),
        ("/", ""),
        ("s3://bucket/runs/autumn", "autumn"),
        ("s3://bucket/", "bucket"),
        ("s3://key:secret@bucket", "bucket"),
        ("s3://bucket/autumn/?secret=a/b", "autumn"),
    ],
)
def test_a_name_is_no_path(location, name):
    assert run_name(location) == name


def test_a_name_that_is_no_text(tmp_path):
    """A folder's name may be bytes that are no UTF-8."""
    found = gather(open_run(write_run(tmp_path / "run", pages(60))))
    page = render(replace(found, name="n\udce4me")).encode().decode()
    assert lxml.html.fromstring(page).xpath("//h1")[0].text_content() == "n⟨U+DCE4⟩me"


@pytest.mark.parametrize(
    ("count", "says"),
    [(1, "From a0.warc, 7 B."), (3, "From a0.warc, a1.warc, a2.warc, 21 B."),
     (5, "From a0.warc, a1.warc, a2.warc and 2 more, 35 B.")],
)  # fmt: skip
def test_the_head_names_the_recipe_and_the_inputs(tmp_path, count, says):
    """Two runs in folders of the same name are told apart."""
    found = gather(open_run(write_run(tmp_path / "out", pages(60))))
    inputs = [{**found.info["inputs"][0], "name": f"a{n}.warc", "bytes": 7} for n in range(count)]
    html = lxml.html.fromstring(render(replace(found, info={**found.info, "inputs": inputs})))
    assert says in html.xpath("//header")[0].text_content()
    assert f"out – {found.info['recipe']['name']} – " in html.xpath("//title")[0].text


def test_measures_say_what_they_mean(tmp_path):
    """Those of our stages do. A user's module, and a stage that only has the name of ours, are not asked."""
    made = recipe()
    stages = made.canonical()["stages"]
    folder = write_run(tmp_path / "run", pages(60))
    info = open_run(folder).info
    assert not report(folder).xpath("//*[@class='meaning']")
    for table in stages:
        if table["name"] == "first":
            table["stage"] = "gopher_quality"
    seal(folder, {**info, "recipe": {**info["recipe"], "stages": stages}})
    html = report(folder)
    (meaning,) = html.xpath("//figure[@data-measure='first.words']/p[@class='meaning']")
    assert meaning.text == "The number of words, without words that are all punctuation."
    assert not html.xpath("//figure[@data-measure='first.ratio']/p[@class='meaning']")


def test_languages_that_the_screen_saw(tmp_path):
    folder = write_run(tmp_path / "run", pages(400))
    info = open_run(folder).info
    stages = info["recipe"]["stages"]
    next(table for table in stages if table["name"] == "door")["stage"] = "screen"
    seal(folder, info)
    html = report(folder)
    rows = open_run(folder).ledger().to_pylist()
    counts = Counter((row["door.label"], row["outcome"]) for row in rows)
    found = facts(html)
    for name in ("en", "de"):
        for outcome in ("kept", "dropped"):
            assert found[f"screen.{name}.{outcome}"] == counts[name, outcome]
    assert counts["de", "dropped"] > 0
    assert "Languages that the screen saw" in html.get_element_by_id("languages").text_content()


def test_languages_before_and_after_extraction_have_one_scale(tmp_path):
    rows = [{**row, "first.note": "fr" if number % 3 else "it"} for number, row in enumerate(pages(400))]
    folder = write_run(tmp_path / "run", rows)
    for path in (folder / "ledger").iterdir():
        table = pq.read_table(path)
        names = [{"first.note": "first.label"}.get(name, name) for name in table.column_names]
        pq.write_table(table.rename_columns(names), path, write_page_checksum=True)
    info = json.loads(
        (folder / "run.json").read_text().replace("first.note", "first.label").replace('"note"', '"label"')
    )
    for table in info["recipe"]["stages"]:
        table["stage"] = {"door": "screen", "first": "language"}.get(table["name"], table["stage"])
    seal(folder, info)
    found = widths(report(folder), "//*[@id='languages']//tr[td]")
    assert len(found) == 4
    most = max(number for _, number in found)
    for width, number in found:
        assert width == pytest.approx(100 * number / most, abs=0.002)


def test_excerpts_are_shown_as_long_as_they_are_kept(tmp_path):
    text = "<b>" + "x" * (EXCERPT_CHARS - 3)
    rows = [sample("kept", 0, excerpt=text), sample("first.words", 7, excerpt=text, value=7.0, limit=50.0)]
    html = report(write_run(tmp_path / "run", pages(60), samples=rows))
    assert EXCERPT_CHARS == 500
    shown = [one.text_content() for one in html.xpath("//p[@class='excerpt']")]
    assert shown and set(shown) == {text + "…"}


def test_same_bytes_again(tmp_path):
    folder = write_run(tmp_path / "run", pages(300))
    write_report(open_run(folder), tmp_path / "one")
    home = tmp_path / "home"
    home.mkdir()
    arguments = ["report", str(folder), "--out", str(tmp_path / "two")]
    surroundings = {**os.environ, "HOME": str(home), "TZ": "UTC+7", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-m", "jobs.cli", *arguments], check=True, capture_output=True, env=surroundings)
    assert not list(home.iterdir()), "a library left something at home"
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_nothing_kept(tmp_path):
    found = [{**row, "last.sentences": 1} for row in pages(100)]
    folder = write_run(tmp_path / "run", found)
    assert open_run(folder).info["records"]["kept"] == 0
    html = report(folder)
    check_all(folder, html)
    assert "No document was kept." in html.text_content()


def test_no_records_and_no_samples(tmp_path):
    folder = write_run(tmp_path / "run", [], samples=[])
    html = report(folder)
    check_all(folder, html)
    assert "This run has no samples." in html.text_content()


def test_samples_that_are_gone(tmp_path):
    folder = write_run(tmp_path / "run", pages(100))
    (folder / "samples" / "part-00000.parquet").unlink()
    assert "This run has no samples." in report(folder).text_content()


def test_samples_stand_beside_the_limit_and_kept_ones(tmp_path):
    folder = write_run(tmp_path / "run", pages(400))
    html = report(folder)
    rows = pq.read_table(folder / "samples").to_pylist()
    ledger = {row["id"]: row for row in open_run(folder).ledger().to_pylist()}
    for rule in {row["rule"] for row in rows} - {"kept"}:
        group = html.get_element_by_id(f"samples-{rule}")
        mine = [row for row in rows if row["rule"] == rule]
        shown = [article.xpath(".//p[@class='id']")[0].text_content() for article in group.xpath(".//article")]
        assert {row["id"] for row in mine} <= set(shown)
        others = set(shown) - {row["id"] for row in mine}
        assert others and all(ledger[one]["outcome"] == "kept" for one in others)
    near = html.get_element_by_id("samples-first.words").text_content()
    assert "49 < min 50" in near and "1,001 > max 1,000" in near
    strict = html.get_element_by_id("samples-door.score").text_content()
    assert "0.65 ≤ above 0.65" in strict


def test_clusters_with_evidence(tmp_path):
    found = pages(200)
    info = {
        "compared": {"first": "signatures"},
        "dedup": {
            "compared": 50,
            "removed": {"exact": 1, "all": 3},
            "unverified": 2,
            "largest": [{"id": "w.warc.gz:0", "documents": 4}, {"id": "elsewhere.warc.gz:7", "documents": 2}],
            "archives": [{"warc": "w.warc.gz", "compared": 50, "removed": 3, "rate": 0.06}],
            "domains": {"number": 7, "most_removed": [{"domain": "a.example", "compared": 9, "removed": 3, "rate": 1}]},
        },
    }
    folder = write_run(tmp_path / "run", found, **info)
    path = folder / "ledger" / "part-00000.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    for row in rows[1:4]:
        row.update(outcome="dropped", stage="first", rule="words", value=0.875, detail="w.warc.gz:0")
    write_part(folder, "ledger", type(table).from_pylist(rows, table.schema))
    seal(folder, open_run(folder).info)
    html = report(folder)
    found = facts(html)
    assert (found["dedup.compared"], found["dedup.removed.all"], found["dedup.removed.exact"]) == (50, 3, 1)
    assert (found["cluster.0"], found["cluster.1"]) == (4, 2)
    evidence = html.xpath("//ol[@class='clusters']/li")[0].text_content()
    assert rows[0]["url"] in evidence and rows[1]["url"] in evidence and "0.875" in evidence
    assert "elsewhere.warc.gz:7" in html.xpath("//ol[@class='clusters']/li")[1].text_content()


def test_changes_to_a_named_recipe(tmp_path):
    info = {"recipe": load_recipe("fineweb", ["gopher_quality.words.min=30"]).canonical()}
    made = load_recipe("fineweb").pipeline().columns
    folder = write_run(tmp_path / "run", [])
    facts_ = json.loads((folder / "run.json").read_text())
    facts_ |= info | {"columns": {name: kind.__name__ for name, kind in made.items()}}
    write_part(folder, "ledger", ledger_schema(made).empty_table())
    seal(folder, facts_)
    text = report(folder).text_content()
    assert "with 1 change" in text
    assert "gopher_quality.words.min: 50 → 30" in text


def test_times_are_optional(tmp_path):
    folder = write_run(tmp_path / "run", pages(10))
    assert "timings.json is not there" in report(folder).text_content()
    sums = {"units": 2, "seconds": 10.0, "stages": {"door": 0.75, "last": 144.0}}
    slowest = [
        {"warc": "w.warc.gz", "start": 0, "end": 9, "seconds": 2.5},
        {"warc": "w.warc.gz", "start": 9, "end": 99, "seconds": 7.5},
    ]
    phases = {"bands": {"tasks": 3, "seconds": 2.0, "cpu": 1.0, "peak": 5_000_000}}
    times = {"seconds": 12.25, "host": "<b>host</b>", "argv": ["corpus", "build"], "cpus": 2}
    (folder / "timings.json").write_text(json.dumps({**times, "dedup": phases, "pass": sums, "slowest": slowest}))
    html = report(folder)
    text = " ".join(html.get_element_by_id("time").text_content().split())
    assert "12.2 s on <b>host</b> with 2 cores" in text
    assert "2 units of the pass took 10.0 s in all" in text
    rows = [[cell.text_content().strip() for cell in row] for row in html.xpath("//*[@id='time']//tbody/tr")]
    assert [row[:1] + row[2:3] for row in rows[:2]] == [["door", "750 ms"], ["last", "2.4 min"]]
    assert rows[2:4] == [["w.warc.gz", "9", "99", "7.5 s"], ["w.warc.gz", "0", "9", "2.5 s"]]
    assert rows[4] == ["bands", "3", "2.0 s", "1.0 s", "5 MB"]


def test_text_of_pages_never_becomes_markup(tmp_path):
    bad = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202ereversed\u0007"
    long = "x" * 1_000_000
    rows = [
        sample("kept", 1, excerpt=bad + long, url=f"http://a.example/{bad}{long}"),
        sample("first.words", 2, excerpt="</script>" + bad, detail=bad + long, value=7.0, limit=50.0),
        sample("nowhere.rule", 3, excerpt=bad),
    ]
    html = report(write_run(tmp_path / "run", pages(100), samples=rows))
    assert len(html.xpath("//script")) == 1
    assert not html.xpath("//img | //iframe | //link | //object | //a[not(starts-with(@href, '#'))] | //*[@style]")
    assert not [name for element in html.iter() for name in element.attrib if name.startswith("on")]
    shown = html.get_element_by_id("samples").text_content()
    assert shown.count("<script>alert(1)</script><img src=x onerror=alert(2)>⟨U+202E⟩reversed⟨U+0007⟩") == 5
    assert "\u202e" not in shown and "\u0007" not in shown
    assert "more characters" in shown
    assert (tmp_path / "run" / "report.html").stat().st_size < 1_000_000


@pytest.fixture(scope="module")
def own_stage(tmp_path_factory):
    """A run with the user's own stage of the examples."""
    folder = tmp_path_factory.mktemp("own")
    code = "<pre>" + "\n".join(f"int x{n} = {n};" for n in range(40)) + "</pre>" + WORDS
    bodies = {f"http://site{n}.example/": page(body=code if n % 3 == 0 else WORDS * (n + 1)) for n in range(12)}
    write_warc(folder / "w.warc.gz", bodies)
    module = read_plugin(str(EXAMPLES / "code_share.py"))
    made = load_recipe(str(EXAMPLES / "code_share.toml"), modules=[module])
    build(
        Job(made, [str(folder / "w.warc.gz")], folder / "out", modules=(module,)),
        lambda: InProcess(),
        Progress(quiet=True),
    )
    return folder / "out"


def test_the_example_stage_is_reported_like_any_other(own_stage):
    html = report(own_stage)
    check_all(own_stage, html)
    assert facts(html)["records.dropped.code_share.code_ratio"] == 4
    assert html.xpath("//figure[@data-measure='code_share.code_ratio']//*[@class='bound']")[0].text == "max 0.1"
    assert "code_ratio" in html.get_element_by_id("recipe").text_content()


def test_a_run_with_its_report_is_whole_and_complete(tmp_path):
    bodies = {f"http://site{n}.example/": page(body=WORDS * (n % 4 + 1)) for n in range(12)}
    archive = write_warc(tmp_path / "w.warc.gz", bodies)
    stages = {"stages": [{"stage": "url"}, {"stage": "paragraphs", "chars": {"min": 1200}}]}
    made = job([archive], tmp_path / "out", stages)
    assert build_quietly(made).exit_code == 0
    check_all(tmp_path / "out", report(tmp_path / "out"))
    before = (tmp_path / "out" / "report.html").read_bytes()
    assert build_quietly(made).already_done
    open_run(tmp_path / "out").verify()
    assert (tmp_path / "out" / "report.html").read_bytes() == before
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "corpus", "ledger", "samples", "manifest", "run.json", "timings.json", "report.html",
    }  # fmt: skip


def test_what_was_taken_down(tmp_path):
    """Pages that were taken down have a line of their own before the stages, and no stage counts them."""
    folder = write_run(tmp_path / "run", pages(97))
    info = json.loads((folder / "run.json").read_text())
    table = pq.read_table(folder / "ledger" / "part-00000.parquet")
    rows = table.to_pylist()
    columns = dict.fromkeys(info["columns"])
    gone = [row for row in rows if row["outcome"] == "kept"][:2]
    kept = pq.read_table(folder / "corpus" / "part-00000.parquet")
    ids = {row["id"] for row in gone}
    write_part(folder, "corpus", kept.filter([one not in ids for one in kept["id"].to_pylist()]))
    for row in gone:
        row.update({**columns, "outcome": "dropped", "stage": "removed", "rule": "url", "text_bytes": None})
        info["records"]["kept"] -= 1
    info["records"]["dropped"]["removed"] = {"url": 2}
    write_part(folder, "ledger", type(table).from_pylist(rows, table.schema))
    seal(folder, info)
    html = report(folder)
    found = facts(html)
    assert found["records.dropped.removed.url"] == found["funnel.removed.dropped"] == 2
    assert found["funnel.last.left"] == info["records"]["kept"]
    assert found["funnel.removed.left"] == found["funnel.failed.left"] - 2
    check_measures(Reference(open_run(folder)), html)


def test_no_clusters_without_dedup(tmp_path):
    html = report(write_run(tmp_path / "run", pages(20)))
    assert not html.xpath("//*[@id='duplicates']")
    assert not html.xpath("//nav//a[@href='#duplicates']")
    targets = {link.get("href")[1:] for link in html.xpath("//a[starts-with(@href, '#')]")}
    assert targets <= {element.get("id") for element in html.xpath("//*[@id]")}


def test_ids_are_unique(tmp_path):
    html = report(write_run(tmp_path / "run", pages(300)))
    ids = [element.get("id") for element in html.xpath("//*[@id]")]
    assert len(ids) == len(set(ids))


def test_a_place_that_cannot_be_written(tmp_path):
    folder = write_run(tmp_path / "run", pages(5))
    with pytest.raises(OutputError, match=r"no/report\.html can't be written"):
        write_report(open_run(folder), tmp_path / "no" / "report.html")


def test_verb(tmp_path, monkeypatch, capsys):
    def corpus(*arguments):
        monkeypatch.setattr(sys, "argv", ["corpus", "report", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    folder = write_run(tmp_path / "run", pages(50))
    code, out, said = corpus(folder, "--json")
    assert json.loads(out) == {"report": str(folder / "report.html"), "bytes": (folder / "report.html").stat().st_size}
    assert code == 0 and "Open it in a browser" in said
    assert corpus(folder, "--out", tmp_path / "r.html")[:2] == (0, "")
    assert (tmp_path / "r.html").read_bytes() == (folder / "report.html").read_bytes()
    code, _, said = corpus(tmp_path)
    assert code == 1 and "holds no finished run" in said


@pytest.mark.slow
def test_numbers_of_a_real_run(shared_data, tmp_path):
    made = Job(load_recipe("default"), [str(shared_data / "warc" / "mixed-00000.warc.gz")], tmp_path / "out", workers=2)
    build(made, lambda: LocalEngine(2), Progress(quiet=True))
    html = report(tmp_path / "out")
    found = facts(html)
    records = open_run(tmp_path / "out").info["records"]
    for stage, dropped in records["dropped"].items():
        for rule, count in dropped.items():
            assert found[f"records.dropped.{stage}.{rule}"] == count
    reference = Reference(open_run(tmp_path / "out"))
    assert found["funnel.language.bytes"] == reference.spans()["language"]
    check_measures(reference, html)
    rules = reference.rules()
    shown = {**found, **partly(html)}
    assert all(shown[name] == count for name, count in rules.items())
