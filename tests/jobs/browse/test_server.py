"""The server of a run: who may ask, what it answers, and what another program may do meanwhile."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from corpus.run import open_run
from corpus.storage.store import open_store
from filters.classifier.tokens import View
from jobs.browse.server import POLICY
from jobs.classifier.pages import Reading, Source, read_pages
from jobs.runner.progress import Progress
from jobs.web.requests import MOST_BODY
from tests.commands import run_command
from tests.corpus.revise.test_what_if import pages as pages_around_limits
from tests.documents import write_documents
from tests.engines import InProcess
from tests.jobs.browse.conftest import CUT, HOSTILE, TOKEN, sentences
from tests.ledgers import judged, recipe, write_run
from tests.waiting import wait_until
from tests.warcs import write_warc

PATHS = ("", "app.js", "style.css", "run", "decide", "page?row=0", "original?row=0", "state")


def ask(browsed, path, **parameters):
    return browsed.client.get(browsed.url + path, params=parameters or None)


def row_of(browsed, url):
    return browsed.served.desk().run.number_of(open_run(browsed.served.given.place).find(url)[0]["id"])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", ["", "other", TOKEN[:-1], f"{TOKEN}x", f"%2e/{TOKEN}", f"/{TOKEN}", "\u00e9"])
def test_without_the_token_nothing_is_said(browsed, token, path):
    answer = browsed.client.get(f"{browsed.origin}/{token}/{path}")
    assert answer.status_code in (403, 404)
    assert answer.json()["error"].startswith("This address is not complete")


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://{host}"}, 403),
        ({"Origin": "http://{host}"}, 200),
        ({}, 200),
    ],
)
def test_pages_of_other_sites_can_do_nothing_even_with_the_token(browsed, headers, status):
    host = browsed.origin.partition("//")[2]
    headers = {name: value.format(host=host) for name, value in headers.items()}
    for path in PATHS:
        assert browsed.client.get(browsed.url + path, headers=headers).status_code == status, path
    body = {"row": 0, "label": "fine", "near": ""}
    told = browsed.client.post(f"{browsed.url}label", json=body, headers=headers)
    assert told.status_code == (status if status != 200 else 400)
    assert not any(name.startswith("access-control") for name in told.headers)


def test_everything_forbids_what_it_does_not_need(browsed):
    for path in PATHS:
        headers = ask(browsed, path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
    assert ask(browsed, "").headers["Content-Security-Policy"] == POLICY
    assert "'unsafe" not in POLICY
    frame = ask(browsed, "original", row=0).headers["Content-Security-Policy"]
    assert frame.startswith("sandbox; default-src 'none'; style-src 'unsafe-inline'")


def test_another_address_of_the_server(browsed):
    answer = browsed.client.get(f"{browsed.origin}/{TOKEN}")
    assert (answer.status_code, answer.headers["Location"]) == (307, f"/{TOKEN}/")
    for path in ("no-such-file", "../server.py", "index.htm", "labels.jsonl", "%2e%2e%2fdesk.py"):
        assert browsed.client.get(browsed.url + path).status_code in (403, 404)


@pytest.mark.parametrize(
    "path",
    ["decide?set=nonsense", "decide?set=c4.nothing.max=3", "distribution?column=x", "pages?rule=x", "pages?start=-1",
     "pages?measure=x", "pages?least=x&measure=c4.sentences", "pages?moved=come&set=x", "page?row=999999", "page?id=x",
     "text?id=x", "draw?near=x", "pages?start=" + 30 * "9"],
)  # fmt: skip
def test_a_wrong_question_is_answered_with_a_sentence(browsed, path):
    answer = ask(browsed, path)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize(
    "path, body",
    [
        ("label", {"row": "0", "label": "good", "near": ""}),
        ("label", {"row": 0}),
        ("label", [1]),
        ("label", {"row": 0, "label": "fine", "near": ""}),
        ("write", {"set": "x", "out": "y"}),
        ("write", {"set": ["x"], "out": "y"}),
        ("write", {"set": [], "out": "--help"}),
        ("write", {"set": [], "out": " "}),
    ],
)
def test_a_wrong_order_does_nothing(browsed, path, body):
    answer = browsed.client.post(browsed.url + path, json=body)
    assert answer.status_code == 400
    assert browsed.served.desk().labels.lines == {}
    assert browsed.served.desk().writing.state()["out"] == ""


def test_a_body_that_is_too_large(browsed):
    assert browsed.client.post(f"{browsed.url}label", content=b" " * (2 * MOST_BODY)).status_code == 413


def test_orders_are_no_questions(browsed):
    assert browsed.client.get(f"{browsed.url}write").status_code == 404
    assert browsed.client.post(f"{browsed.url}decide").status_code == 405


def test_a_decision_is_that_of_tune(browsed, run_folder, capsys):
    settings = ["gopher_quality.words.min=200", "c4.sentences.min=3"]
    answer = ask(browsed, "decide", set=settings).json()
    assert run_command("tune", run_folder, "--json", *(f"--set={one}" for one in settings)) == 0
    told = json.loads(capsys.readouterr().out)
    assert {name: answer[name] for name in told if name != "examples"} == {
        name: value for name, value in told.items() if name != "examples"
    }
    by_id = {(one["kind"], one["id"]) for one in answer["examples"]}
    assert {(one["kind"], one["id"]) for one in told["examples"]} <= by_id


def test_the_funnel_is_that_of_the_written_run(browsed, second_folder):
    """For a setting whose answer is exact."""
    answer = ask(browsed, "decide", set=["gopher_quality.words.min=200"]).json()
    written = open_run(second_folder).info["records"]
    assert answer["exact"]
    assert answer["kept"]["least"] == written["kept"]
    for line in answer["funnel"]:
        if line["outcome"] == "dropped":
            now = {rule: pair[1] for rule, pair in line["rules"].items() if pair[1]}
            assert now == written["dropped"].get(line["name"], {})
    assert answer["text"]["now"] == sum(
        row["text_bytes"] for row in open_run(second_folder).ledger().to_pylist() if row["outcome"] == "kept"
    )


def test_pages_that_would_go_are_those_that_the_written_run_lacks(browsed, run_folder, second_folder):
    found = ask(browsed, "pages", moved="go", set="gopher_quality.words.min=200", most=200).json()["rows"]
    kept, later = (set(open_run(one).corpus(["id"])["id"].to_pylist()) for one in (run_folder, second_folder))
    assert {row["id"] for row in found} == kept - later
    assert found


@pytest.mark.parametrize("most", [1, 7, 50])
def test_a_table_has_every_page_once(browsed, run_folder, most):
    rows, start = [], 0
    while start is not None:
        found = ask(browsed, "pages", outcome="kept", start=start, most=most).json()
        rows, start = rows + found["rows"], found["next"]
    assert [row["id"] for row in rows] == open_run(run_folder).corpus(["id"])["id"].to_pylist()
    assert ask(browsed, "count", outcome="kept").json() == {"count": len(rows), "more": False}


def test_words_are_searched_once_there_is_an_index(browsed, run_folder):
    wait_until(lambda: "indexing" not in ask(browsed, "pages", words="address").json())
    (found,) = ask(browsed, "pages", words='WRITE "say that').json()["rows"]
    assert found["url"] == "http://cut.example/a"
    assert "Write to <EMAIL>" in found["passage"]
    assert ask(browsed, "pages", words="Write", domain="site1.example").json()["rows"] == []
    every = ask(browsed, "count", words="people").json()
    assert every == {"count": open_run(run_folder).counts["kept"], "more": False}
    assert ask(browsed, "pages", words="'-").status_code == 400
    assert ask(browsed, "pages", words="no-such-word").json()["rows"] == []


def test_a_page_shows_what_was_cut_and_replaced(browsed, run_folder):
    row = row_of(browsed, "http://cut.example/a")
    found = ask(browsed, "steps", row=row).json()
    kept = "".join(text for text, kind, _ in found["pieces"] if kind != "cut")
    assert kept == open_run(run_folder).explain("http://cut.example/a")[0]["text"]
    assert any(CUT in text and (kind, by) == ("cut", "c4") for text, kind, by in found["pieces"])
    personal = [(text, kind) for text, kind, by in found["pieces"] if by in found["personal"]]
    assert "".join(text for text, kind in personal if kind == "added") == "<EMAIL>"
    assert "jane" in "".join(text for text, kind in personal if kind == "cut")


def test_the_text_of_a_dropped_page_is_read_again(browsed):
    row = row_of(browsed, "http://site1.example/1")
    found = ask(browsed, "text", row=row).json()
    assert not found["kept"]
    assert found["text"].startswith("The ")
    assert "<p>" in ask(browsed, "source", row=row).json()["source"]


def test_duplicates_share_words(browsed):
    row = row_of(browsed, "http://site0.example/40")
    page = ask(browsed, "page", row=row).json()
    cluster = ask(browsed, "pages", cluster=page["keeper"]).json()["rows"]
    assert {one["url"] for one in cluster} == {"http://site0.example/40", "http://copy.example/a"}
    keeper = row_of(browsed, "http://copy.example/a")
    assert ask(browsed, "page", row=keeper).json()["keeper"] == page["keeper"]
    one, other = (ask(browsed, "pair", one=row, other=keeper).json()[name] for name in ("one", "other"))
    assert all(kind == "shared" for text, kind, _ in one if text.strip(" .\n"))
    assert any("ending" in text and not kind for text, kind, _ in other)


@pytest.mark.parametrize("name", HOSTILE)
def test_an_original_page_has_nothing_that_runs_or_loads(browsed, name):
    shown = ask(browsed, "original", row=row_of(browsed, f"http://{name}.hostile.example/")).text
    for bad in (
        "<script",
        "<link",
        "<meta http",
        "<base",
        "<iframe",
        "<object",
        "<form",
        "<svg",
        "href=",
        "src=",
        "onload",
    ):
        assert bad not in shown.lower().replace('<meta charset="utf-8">', ""), bad
    assert 'data-corpus="kept"' in shown


def test_two_runs(browsed):
    found = ask(browsed, "differences").json()
    moved = [move for move in found["moves"] if move["to"] == "gopher_quality.words"]
    assert {move["from"] for move in moved} == {"kept", "c4.sentences"}
    (gone,) = [move for move in moved if move["from"] == "kept"]
    assert len(gone["ids"]) == gone["documents"]
    one, other = gone["ids"][0]
    assert one == other
    both = ask(browsed, "both", one=one, other=other).json()
    assert [side["row"]["outcome"] for side in both["sides"]] == ["kept", "dropped"]
    assert "".join(piece[0] for piece in both["texts"][0]) == "".join(piece[0] for piece in both["texts"][1])


def test_two_runs_of_archives_that_were_cut_anew(serving, pages, run_folder, tmp_path):
    """Records are at other places, and are paired by their URLs."""
    write_warc(tmp_path / "anew.warc.gz", dict(sorted(pages.items(), reverse=True)))
    words = ("build", tmp_path / "anew.warc.gz", "-o", tmp_path / "anew", "--workers", 1)
    assert run_command(*words, "--recipe", run_folder.parent / "r.toml", "--set", "c4.sentences.min=9") == 0
    with serving(run_folder, tmp_path / "anew", labels=tmp_path / "l") as made:
        found = ask(made, "differences").json()
        assert (found["by"], found["documents"]) == ("url", [len(pages), len(pages)])
        (gone,) = [one for one in found["moves"] if (one["from"], one["to"]) == ("kept", "c4.sentences")]
        one, other = gone["ids"][0]
        assert one != other
        both = ask(made, "both", one=one, other=other).json()
        assert [side["row"]["url"] for side in both["sides"]] == [gone["examples"][0]] * 2
        assert [side["row"]["outcome"] for side in both["sides"]] == ["kept", "dropped"]


@pytest.fixture(scope="module")
def labelled(serving, run_folder, tmp_path_factory):
    """A file with the labels of twelve pages, and what the server said of them."""
    file = tmp_path_factory.mktemp("labelled") / "labels.jsonl"
    with serving(run_folder, labels=file) as made:
        for number, row in enumerate(ask(made, "draw").json()["rows"][:12]):
            label = {"row": row, "label": "good" if number % 3 else "bad", "near": ""}
            found = made.client.post(f"{made.url}label", json=label).json()
        judged = ask(made, "decide", set=["gopher_quality.words.min=200"]).json()["judged"]
    return file, found, judged


def test_labels_are_saved_and_count(labelled, run_folder):
    file, found, judged = labelled
    assert (found["rows"][0]["judged"], judged["judged"], judged["good"]) == (12, 12, 8)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 12
    assert all(line["text"].startswith("The ") for line in lines)
    entries = [json.loads(path.read_text()) for path in (run_folder / "derived").iterdir()]
    assert {"kind": "labels", "name": str(file)} in entries


@pytest.mark.slow
def test_labels_are_documents_for_a_classifier(labelled, tmp_path):
    how = Reading(tmp_path / "scratch", lambda: InProcess(1), Progress(quiet=True), {}, View(), 0, 100)
    read = read_pages([Source((str(labelled[0]),), column="label")], how)
    assert {page.label for page in read.pages} == {"good", "bad"}
    assert len(read.pages) == 12


def test_a_run_that_changed_is_not_shown_any_more(serving, folder, tmp_path):
    shutil.copytree(folder / "out", tmp_path / "out")
    (tmp_path / "urls").write_text("http://cut.example/a\n")
    with serving(tmp_path / "out") as made:
        row = row_of(made, "http://cut.example/a")
        assert "say that you have" in ask(made, "text", row=row).text
        wait_until(lambda: not ask(made, "run").json()["copy"]["missing"])
        copies = made.served.desk().run.folder
        assert copies.exists()
        words = ("remove", tmp_path / "out", "--urls", tmp_path / "urls", "--inputs", folder / "crawl.warc.gz")
        assert run_command(*words, "--workers", 1) == 0
        assert not copies.exists()
        for path in ("run", f"text?row={row}", f"original?row={row}", "decide"):
            assert "has changed since it was opened" in ask(made, path).json()["error"]
    with serving(tmp_path / "out") as made:
        row = row_of(made, "http://cut.example/a")
        assert "taken down" in ask(made, "text", row=row).json()["error"]
        assert ask(made, "pages", words="Write").status_code == 200


def test_twenty_people_at_once(browsed):
    """Each gets the answers that one alone gets."""
    paths = ["run", "recipe", "pages?outcome=kept", "page?row=5", "distribution?column=gopher_quality.words"]
    paths += [f"decide?set=gopher_quality.words.min={least}" for least in (100, 150, 200)]
    alone = {path: ask(browsed, path).json() for path in paths}
    start = threading.Barrier(20)

    def person(number):
        start.wait()
        own = paths[number % len(paths) :] + paths[: number % len(paths)]
        return {path: ask(browsed, path).json() for path in own}

    with ThreadPoolExecutor(20) as people:
        for found in people.map(person, range(20)):
            assert {path: answer for path, answer in found.items() if path != "run"} == {
                path: answer for path, answer in alone.items() if path != "run"
            }


def test_a_copy_that_can_not_be_made_is_said(serving, run_folder, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with serving(run_folder, labels=tmp_path / "l") as made:
        wait_until(lambda: "can't be copied" in ask(made, "run").json()["copy"]["slow"])
        assert ask(made, "decide").json()["kept"]["before"] == open_run(run_folder).counts["kept"]
        assert ask(made, "pages", words="Write").status_code == 507


def test_nothing_is_written_into_the_run(browsed, run_folder):
    assert not {path.name for path in run_folder.iterdir()} - {"corpus", "derived", "index", "ledger", "manifest",
                "run.json", "samples", "timings.json"}  # fmt: skip


@pytest.mark.slow
def test_a_run_in_a_bucket(serving, folder, proxy, tmp_path):
    store = open_store("s3://bucket/out")
    for path in sorted((folder / "out").rglob("*")):
        key = path.relative_to(folder / "out").as_posix()
        if path.is_file() and not key.startswith("derived"):
            store.put_new(key, path.read_bytes())
    given = {"inputs": (str(folder / "crawl.warc.gz"),), "labels": tmp_path / "l"}
    with serving("s3://bucket/out", **given) as made, serving(folder / "out", **given) as local:
        for path in ("decide?set=gopher_quality.words.min=200", "pages?rule=c4", "text?row=0", "steps?row=50"):
            assert ask(made, path).json() == ask(local, path).json()
        wait_until(lambda: not ask(made, "run").json()["copy"]["missing"])


@pytest.mark.slow
def test_documents_and_lines_that_are_cut_after_the_pass(serving, tmp_path):
    """Documents are texts without pages, and the stage `lines` cuts what many of them have in common."""
    common = "This line of the footer stands on all of the pages, and it is in the way."
    texts = {f"http://a.example/{number}": "\n".join([*sentences(number, 30), common]) for number in range(6)}
    write_documents(tmp_path / "d.jsonl", [{"url": url, "text": text} for url, text in texts.items()])
    (tmp_path / "r.toml").write_text('name = "t"\n[[stages]]\nstage = "gopher_quality"\n[[stages]]\nstage = "lines"\n')
    words = ("build", tmp_path / "d.jsonl", "-o", tmp_path / "out", "--recipe", tmp_path / "r.toml", "--workers", 1)
    assert run_command(*words) == 0
    with serving(tmp_path / "out") as made:
        pieces = ask(made, "steps", row=3).json()["pieces"]
        assert "".join(text for text, kind, _ in pieces if kind != "added") == texts["http://a.example/3"]
        (cut,) = [(text.strip(), by) for text, kind, by in pieces if kind == "cut"]
        assert cut == (common, "lines")
        assert ask(made, "source", row=3).json()["source"] == ""
        assert "no HTML" in ask(made, "original", row=3).text


def test_open_pages_have_a_line_of_the_funnel(serving, tmp_path):
    """A page that a gate stopped was not measured further, so nobody knows where it would end."""
    made = recipe()
    write_run(tmp_path / "run", made, judged(made, pages_around_limits(300, 5)))
    with serving(tmp_path / "run") as served:
        answer = ask(served, "decide", set=["door.score.above=0.1"]).json()
        certain, most = answer["passing"]["certain"], answer["passing"]["most"]
        (last,) = [line for line in answer["funnel"] if line["outcome"] == "open pages"]
        assert last["now"] == most - certain > 0
        assert last["left_now"] == certain
        assert not answer["exact"]
        found = ask(served, "count", moved="open", set="door.score.above=0.1").json()
        assert found["count"] == most - certain
