"""The papers of a run: what comes from the run, what is asked for, and other programs that read the papers."""

import csv
import json
import re
import shutil
import tomllib

import pyarrow.parquet as pq
import pytest

from corpus.run import open_run
from corpus.storage.store import open_store
from jobs.card.card import listed_domains
from jobs.card.facts import DomainSizes, read_facts
from jobs.card.questions import QUESTIONS, questions_toml
from jobs.card.training_content import Line, as_csv, summary_lines
from jobs.runner.derived import registered
from jobs.tokens.data_card import _license_note
from tests.commands import run_command
from tests.documents import write_documents
from tests.s3 import BUCKET
from tests.warcs import WORDS, page, write_warc

FILES = ("README.md", "croissant.json", "domains.csv", "training_content.csv", "training_content.md")
OFF = [f"{name}=off" for name in ("language", "gopher_repetition", "fineweb", "minhash")]
BY = '<a rel="license" href="https://creativecommons.org/licenses/by/4.0/">x</a>'
NOAI = '<meta name="robots" content="noai">'


def build(inputs, out, *more):
    settings = [word for one in OFF for word in ("--set", one)]
    assert run_command("build", inputs, "-o", out, "--workers", 1, *settings, *more) == 0
    return out


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """The run of a crawl of five sites: one opts out, one has a licence, one has two pages."""
    folder = tmp_path_factory.mktemp("card")
    pages = {
        "http://www.one.example/a": page(body=WORDS + "One."),
        "http://two.one.example/b": page(body=WORDS * 2 + BY),
        "http://three.example/": page(body=WORDS + "Three."),
        "http://no.example/": page(body=WORDS + "No.").replace(b"<head>", f"<head>{NOAI}".encode()),
        "http://xxx-videos.example/": page(),
    }
    archive = write_warc(folder / "CC-MAIN-20260102030405-20260102060405-00000.warc.gz", pages)
    return build(archive, folder / "out")


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """The run of documents with dates and languages, by a recipe without the stage `rights`."""
    folder = tmp_path_factory.mktemp("documents")
    rows = [
        {"text": WORDS + f"Number {number}.", "url": f"http://a{number}.example/", "date": date, "language": language}
        for number, (date, language) in enumerate(
            [("2025-11-30", "en"), ("2026-02-01T10:00:00Z", "de"), ("soon", "en")]
        )
    ]
    table = write_documents(folder / "texts.parquet", rows)
    off = [word for name in ("language", "gopher_repetition", "minhash") for word in ("--set", f"{name}=off")]
    assert run_command("build", table, "-o", folder / "out", "--workers", 1, "--recipe", "text", *off) == 0
    return folder / "out"


def card(run, out, *more):
    assert run_command("card", run, "-o", out, *more) == 0
    return {name: (out / name).read_bytes() for name in FILES}


def said(papers):
    """The lines of the summary: question → (run, answer, source)."""
    rows = list(csv.DictReader(papers["training_content.csv"].decode().splitlines()))
    return {row["question"]: (row["run"], row["answer"], row["source"]) for row in rows}


def test_the_summary_is_filled_from_the_run(crawl, tmp_path):
    papers = card(crawl, tmp_path / "card")
    lines = said(papers)
    size = sum(len(row["text"].encode()) for row in open_run(crawl).corpus(["text"]).to_pylist())
    assert lines["Period of data collection"][0].startswith("01/2026 to 01/2026")
    found = lines["Large publicly available datasets, with links and periods of collection"][0]
    assert "1 archives with" in found
    assert "1 are archives of Common Crawl (https://commoncrawl.org), captured from 01/2026 to 01/2026" in found
    types = "Types of content of the text (for example fiction, scientific text, press)"
    assert lines[types][0] == f"3 texts, {size:,} bytes in UTF-8. This corpus has only text."
    assert "rights.noai were dropped: 1." in lines["Measures to respect reservations of rights"][0]
    assert "Pages dropped: 1." in lines["Measures to avoid or remove illegal content"][0]
    assert "CC-BY-4.0: " in lines["Types of content and online sources that were crawled"][0]
    assert "1 of 2 (10% of all domains)" in lines["Most relevant domain names"][0]
    assert papers["domains.csv"].decode().splitlines()[1].startswith("one.example,2,")
    assert lines["Provider name and contact details"] == ("", "", "not answered")
    assert b"- **Provider name and contact details**: *not answered*" in papers["training_content.md"]


def test_no_text_of_a_page_is_in_the_papers(crawl, tmp_path):
    papers = card(crawl, tmp_path / "card")
    assert all(b"fishermen" not in paper and b"Visitors" not in paper for paper in papers.values())


def test_the_same_run_gives_the_same_bytes(crawl, tmp_path):
    first = card(crawl, tmp_path / "card")
    assert card(crawl, tmp_path / "card") == first
    assert card(crawl, tmp_path / "other" / "card") == first


def test_answers_are_named_as_answers(crawl, tmp_path):
    answers = tmp_path / "answers.toml"
    answers.write_text(
        'provider = "A, a@b.example"\ntokens = 2_000_000_000\nsme = true\ncrawlers_used = false\nname="N"'
    )
    papers = card(crawl, tmp_path / "card", "--answers", answers)
    lines = said(papers)
    assert lines["Provider name and contact details"] == ("", "A, a@b.example", "answers")
    assert lines["Were crawlers used by the provider or on its behalf?"][1] == "no"
    assert lines["Size of the text: number of tokens"] == (
        "1 billion to 10 trillion tokens", "2000000000", "run and answers"
    )  # fmt: skip
    assert "5% of all domains or 1,000" in lines["Most relevant domain names"][0]
    assert b"# Public summary of training content: N\n" in papers["training_content.md"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("provder = 'x'", "did you mean"),
        ("sme = 'yes'", "Give true or false"),
        ("tokens = true", "Give a whole number"),
        ("a = = b", "can't be read"),
    ],
)
def test_wrong_answers_are_refused(crawl, tmp_path, capfd, text, wrong):
    answers = tmp_path / "answers.toml"
    answers.write_text(text)
    assert run_command("card", crawl, "-o", tmp_path / "card", "--answers", answers) == 2
    assert wrong.lower() in capfd.readouterr().err.lower()
    assert not (tmp_path / "card").exists()


def test_the_form_has_every_question_and_no_answer(capfd, tmp_path):
    assert run_command("card", "--questions") == 0
    form = capfd.readouterr().out
    assert form == questions_toml()
    assert tomllib.loads(form) == {}
    filled = tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", form, flags=re.MULTILINE))
    assert {key: type(value) for key, value in filled.items()} == {one.key: one.of for one in QUESTIONS}
    assert run_command("card", tmp_path) == 2


def test_a_run_of_documents_says_only_what_it_knows(documents, tmp_path):
    papers = card(documents, tmp_path / "card")
    lines = said(papers)
    assert lines["Period of data collection"][0].startswith("11/2025 to 02/2026")
    assert lines["Linguistic characteristics"][0].startswith("en: 66.")
    assert lines["Measures to respect reservations of rights"][0] == (
        "The recipe has no rule that drops pages by their opt-outs."
    )
    assert lines["Measures to avoid or remove illegal content"][0] == "The recipe has no block list."
    assert "Common Crawl" not in lines["Large publicly available datasets, with links and periods of collection"][0]
    assert b"from 1 files of" in papers["README.md"]
    assert b"The recipe replaced personal data in the text." in papers["README.md"]


def test_a_recipe_without_a_stage_for_personal_data_claims_none(documents):
    info = open_run(documents).info
    info["recipe"]["stages"] = [table for table in info["recipe"]["stages"] if table["stage"] != "pii"]
    info["quarantined"] = [{}]
    assert "replaced personal data in" not in _license_note(info) + _license_note(None)
    with read_facts(open_run(documents)) as (facts, _):
        lines = summary_lines(info, {}, facts, "", {})
    said = next(line.run for line in lines if line.section == "3.3")
    assert "Personal data" not in said
    assert "1 parts of its inputs could not be read" in said


def test_pages_that_were_taken_down_are_gone_and_counted(crawl, tmp_path):
    shutil.copytree(crawl, tmp_path / "out")
    urls = tmp_path / "urls.txt"
    urls.write_text("http://three.example/\n")
    before = card(tmp_path / "out", tmp_path / "card")
    assert run_command("remove", tmp_path / "out", "--urls", urls) == 0
    after = card(tmp_path / "out", tmp_path / "card")
    assert b'"documents": 2' not in before["croissant.json"]
    assert "Pages taken down on request: 1." in said(after)["Measures to respect reservations of rights"][0]
    assert pq.read_table(tmp_path / "card" / "corpus").num_rows == 2


def test_the_folder_is_a_dataset_that_datasets_loads(crawl, tmp_path, monkeypatch):
    papers = card(crawl, tmp_path / "card")
    assert registered(crawl)[0]["kind"] == "card"
    head = papers["README.md"].decode().split("---\n")[1]
    assert "path: corpus/*.parquet" in head
    assert '- "n<1K"' in head
    assert pq.read_table(tmp_path / "card" / "corpus").num_rows == 3
    described = json.loads(papers["croissant.json"])
    (file, whole) = described["distribution"]
    assert file["sha256"] == open_run(crawl).parts("corpus")[0].sha256
    assert whole["includes"] == "corpus/*.parquet"
    names = [field["name"] for field in described["recordSet"][0]["field"]]
    assert names == pq.read_schema(next((crawl / "corpus").iterdir())).names


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib
def test_mlcroissant_validates_and_loads(crawl, tmp_path):
    croissant = pytest.importorskip("mlcroissant")
    card(crawl, tmp_path / "card")
    dataset = croissant.Dataset(jsonld=str(tmp_path / "card" / "croissant.json"))
    rows = list(dataset.records(record_set="documents"))
    wanted = open_run(crawl).corpus().to_pylist()
    assert [row["documents/text"].decode() for row in rows] == [row["text"] for row in wanted]
    assert [row["documents/url"].decode() for row in rows] == [row["url"] for row in wanted]


def test_a_card_in_the_folder_of_its_run(documents, tmp_path):
    shutil.copytree(documents, tmp_path / "out")
    card(tmp_path / "out", tmp_path / "out")
    assert not any(path.is_symlink() for path in (tmp_path / "out" / "corpus").iterdir())
    assert run_command("verify", tmp_path / "out") == 0


def test_a_run_in_a_bucket(documents, proxy, tmp_path, capfd):
    url = f"s3://{BUCKET}/card"
    store = open_store(url)
    for path in sorted(documents.rglob("*")):
        if path.is_file() and "derived" not in path.parts:
            store.put_new(str(path.relative_to(documents)), path.read_bytes())
    there, here = card(url, tmp_path / "card"), card(documents, tmp_path / "here" / "card")
    assert there == here
    assert "Copy its files" in capfd.readouterr().err
    assert not (tmp_path / "card" / "corpus").exists()


def test_domains_are_summed_up_beyond_memory(documents, monkeypatch):
    with read_facts(open_run(documents)) as (facts, domains):
        whole = list(domains.largest(10))
    monkeypatch.setattr("jobs.card.facts._WAITING", 1)
    with read_facts(open_run(documents)) as (again, domains):
        assert (list(domains.largest(10)), again) == (whole, facts)
    assert facts.domains == len(whole) == 3


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://a.b.example.co.uk/x", "example.co.uk"),
        ("http://10.0.0.1/", "10.0.0.1"),
        ("http://B\u00fccher.example/", "xn--bcher-kva.example"),
        ("http://a|b.example/", None),
        ("http://<EMAIL>@/", None),
        ("", None),
        (None, None),
    ],
)
def test_domains_of_urls(tmp_path, url, name):
    domains = DomainSizes(str(tmp_path))
    assert domains.add(url, 5) == (name is not None)
    domains.finish()
    assert [one.name for one in domains.largest(2)] == [name] * (name is not None)
    domains.close()


@pytest.mark.parametrize(
    ("domains", "sme", "listed"),
    [(0, False, 0), (1, False, 1), (11, False, 2), (100, False, 10), (100, True, 5), (1_000_000, True, 1000)],
)
def test_how_many_domains_are_listed(domains, sme, listed):
    assert listed_domains(domains, sme) == listed


def test_a_cell_is_no_formula():
    assert as_csv([("=1+1", "+x", "-y", "@z", "a", 5)]) == b"'=1+1,'+x,'-y,'@z,a,5\n"


def test_hostile_values_of_columns_do_not_form_the_page(documents):
    info = open_run(documents).info
    with read_facts(open_run(documents)) as (facts, _):
        facts.languages = {"<b>|x": (1, 1)}
    (line,) = (line for line in summary_lines(info, {}, facts, "", {}) if line.question == "Linguistic characteristics")
    assert line == Line("1.3", line.question, line.run)
    assert "<" not in line.run
    assert "|" not in line.run
