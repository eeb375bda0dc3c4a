"""The columns of documents: the usual ones are found, the user's own come first, and what can't be is refused."""

import pytest

from corpus.documents.columns import Columns, choose_columns
from corpus.errors import ConfigError

FINEWEB = ["text", "id", "dump", "url", "date", "file_path", "language", "language_score", "token_count"]
DOLMA = ["id", "text", "source", "added", "created", "metadata", "metadata.url", "metadata.lang"]
C4 = ["url", "timestamp", "text"]
REDPAJAMA = ["raw_content", "doc_id", "meta", "meta.url", "meta.language"]


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (FINEWEB, {name: name for name in ("text", "id", "url", "date", "language")}),
        (DOLMA, {"text": "text", "id": "id", "url": "metadata.url", "date": "created"}),
        (C4, {"text": "text", "url": "url", "date": "timestamp"}),
        (REDPAJAMA, {"text": "raw_content", "id": "doc_id", "url": "meta.url", "language": "meta.language"}),
        (["html", "url"], {"html": "html", "url": "url"}),
        (["html", "text"], {"text": "text"}),
    ],
)
def test_the_usual_columns_are_found(there, found):
    assert choose_columns(there, {}, "a.parquet").as_dict() == found


def test_what_the_user_names_comes_first():
    asked = {"text": "source", "date": "added"}
    assert choose_columns(DOLMA, asked, "a").as_dict() == {**asked, "id": "id", "url": "metadata.url"}
    assert choose_columns(["html", "text"], {"html": "html"}, "a").as_dict() == {"html": "html"}


def test_kept_columns_are_in_the_order_asked_each_once():
    columns = choose_columns(C4, {}, "a", ["url", "timestamp", "url"])
    assert columns.keep == ("url", "timestamp")
    assert columns.names == ["text", "url", "timestamp"]
    assert str(columns) == "text, url, date from timestamp, url kept, timestamp kept"
    assert Columns.from_dict(columns.as_dict()) == columns


@pytest.mark.parametrize(
    ("asked", "keep", "says"),
    [
        ({"text": "txet"}, (), "a.jsonl has no column 'txet' for --text. Did you mean text?"),
        ({"url": "meta.url"}, (), "no column 'meta.url' for --url"),
        ({}, ("langauge",), "no column 'langauge' for --keep-columns. Did you mean language"),
        ({"text": "text", "html": "url"}, (), "Give one of --text and --html"),
    ],
)
def test_what_can_not_be_is_refused(asked, keep, says):
    with pytest.raises(ConfigError, match=says):
        choose_columns(FINEWEB, asked, "a.jsonl", keep)


def test_a_file_without_text_is_refused_and_its_columns_are_named():
    with pytest.raises(ConfigError, match=r"Its columns: id, body_html\. .* --text"):
        choose_columns(["id", "body_html"], {}, "a.jsonl")


def test_what_documents_give_before_any_stage():
    assert Columns(text="t").gives == {"text"}
    assert Columns(text="t", url="u", language="l").gives == {"text", "url", "language"}
    assert Columns(html="h", language="l").gives == {"page"}  # the language of a page is decided by its text
