"""The data card of an export."""

from jobs.tokens.data_card import _made


def test_the_card_counts_takedowns():
    records = {"in": 22, "kept": 17, "skipped": {}, "failed": {"damaged": 1}}
    records["dropped"] = {"removed": {"url": 3}, "paragraphs": {"chars": 1}}
    info = {"inputs": [], "versions": {"corpus": "1", "code": "2"}, "fingerprint": "3", "records": records}
    info["recipe"] = {"name": "r", "stages": [{"name": "paragraphs"}]}
    lines = _made(info)
    assert "| taken down | 3 | 18 |" in lines
    assert "| dropped by paragraphs | 1 | 17 |" in lines
    assert "| kept | 17 | 17 |" in lines
