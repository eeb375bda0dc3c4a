"""URLs of a run: those that are the same as another, and those that somebody may have meant."""

import pyarrow as pa
import pytest

from corpus.runs.urls import is_url, is_variant, nearest_domains, nearest_urls
from filters.url.public_suffixes import registered_domains

URLS = [
    "http://a.example/",
    "https://a.example/x",
    "http://www.a.example/x/",
    "http://a.example/X",
    "http://a.example/x?page=2",
    "http://a.example/garden/roses.html",
    "http://b.example/x",
    "http://straße.example/1",
    "http://%61.example/x",
    "http://[2001:DB8:0::1]/x",
    "dns:a.example",
    "",
]


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("http://a.example/x", ["https://a.example/x", "http://%61.example/x"]),
        ("http://xn--strae-oqa.example/1", ["http://straße.example/1"]),
        ("http://strasse.example/1", []),
        ("[2001:db8::1]/x", ["http://[2001:DB8:0::1]/x"]),
        ("DNS:a.example", ["dns:a.example"]),
        ("http://a.example.org/x", []),
    ],
)
def test_rows_of_a_url(url, same):
    column = pa.chunked_array([URLS[:3], URLS[3:]])
    assert column.filter(is_url(column, url)).to_pylist() == same


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        ("http://a.example/x/", "https://a.example/x"),
        ("http://www.a.example/x", "http://www.a.example/x/"),
        ("http://a.example/garden/rose.html", "http://a.example/garden/roses.html"),
        ("http://a.example/gardens/roses.htm", "http://a.example/garden/roses.html"),
        ("http://a.example/garden/roses.html?from=home", "http://a.example/garden/roses.html"),
        ("http://aa.example/garden/roses.html", "http://a.example/garden/roses.html"),
        ("http://strase.example/1", None),
        ("http://straßen.example/1", None),  # its name in ASCII differs in many letters
        ("http://far.example/x", None),
    ],
)
def test_the_nearest_url(wanted, nearest):
    found = nearest_urls([url for url in URLS if "%" not in url], [wanted, "http://b.example/y"])
    assert found[wanted][:1] == ([nearest] if nearest else [])
    assert found["http://b.example/y"][0] == "http://b.example/x"
    assert len(found[wanted]) == len(set(found[wanted])) <= 3


def test_variants():
    assert is_variant("http://www.a.example/X/", "https://a.example/x")
    assert not is_variant("http://a.example/x?y", "http://a.example/x")
    assert not is_variant("http://b.example/x", "http://a.example/x")


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        ("www.garden.example", ["garden.example", "shop.garden.example"]),
        ("blog.garden.example", ["garden.example", "shop.garden.example"]),
        ("gardne.example", ["garden.example"]),
        ("gardens.example", ["garden.example"]),
        ("garden.test", ["garden.example"]),
        ("garden.co.uk", ["garden.example"]),
        ("other.co.uk", []),
        ("", []),
    ],
)
def test_the_nearest_domains(wanted, near):
    urls = ["http://garden.example/1", "http://garden.example/2", "http://shop.garden.example/", "http://x.co.uk/", ""]
    found = nearest_domains(urls, [wanted, "y.co.uk"], registered_domains())
    assert found == {wanted: near, "y.co.uk": ["x.co.uk"]}
