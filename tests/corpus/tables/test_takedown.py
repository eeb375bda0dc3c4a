"""Takedown lists: which URLs and domains they cover, and how they are stored."""

import hashlib
import json

import pytest

from corpus.errors import IntegrityError
from corpus.storage.store import LocalStore
from corpus.tables.takedown import TAKEDOWN_FILE, Entry, Takedown, domains_of, read_takedown, takedown_of


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("http://a.example/x#part", "http://a.example/x"),
        ("http://a.example/x", "https://A.example:443/%78#part"),
        ("a.example/x", "http://a.example/x"),
        ("HTTP://A.Example", "http://a.example/"),
        ("http://a.example/u?email=bob%40mail.example", "http://a.example/u?email=<EMAIL>"),
        ("http://a.example/u?email=<EMAIL>", "http://a.example/u?email=bob@mail.example"),
        ("http://a.example/%62@mail.example", "http://a.example/<EMAIL>"),
        ("https://bob:pw@a.example/", "https://<USER>@a.example/"),
        ("http://straße.example/x", "http://xn--strae-oqa.example/x"),
        ("  http://a.example/x  ", "http://a.example/x"),
    ],
)
def test_forms_of_one_url(entry, url):
    assert Takedown.of([entry]).rule(url) == "url"
    assert Takedown.of([entry]).rule("http://a.example/other") == ""


@pytest.mark.parametrize("url", ["http://www.a.example/x", "http://a.example/x/", "http://joe@a.example/x", ""])
def test_another_url_stays(url):
    assert Takedown.of(["http://a.example/x", ""]).rule(url) == ""


@pytest.mark.parametrize(
    ("url", "domains"),
    [
        ("http://WWW.a.example:8080/x", ["www.a.example", "a.example", "example"]),
        ("https://<USER>@a.example./", ["a.example", "example"]),
        ("http://bücher.example/", ["xn--bcher-kva.example", "example"]),
        ("dns:a.example", []),
        ("http://[::1]/", ["[::1]"]),
        ("", []),
    ],
)
def test_the_domains_of_a_url(url, domains):
    assert domains_of(url) == domains


def test_domains_are_not_parts_of_names():
    taken = Takedown.of(domains=["a.example"])
    assert taken.rule("http://b.a.example/") == taken.rule("http://a.example") == "domain"
    assert taken.rule("http://ba.example/") == taken.rule("http://a.example.org/") == ""


@pytest.mark.parametrize(
    ("text", "kind", "form"),
    [
        (" .A.Example. ", "domain", "a.example"),
        ("*.a.example", "domain", "a.example"),
        ("https://a.example", "domain", "a.example"),
        ("https://*.A.example:443/", "domain", "a.example"),
        ("bücher.example", "domain", "xn--bcher-kva.example"),
        ("straße.example", "domain", "xn--strae-oqa.example"),
        ("ä" * 300 + ".example", "domain", "ä" * 300 + ".example"),  # no name of a host
        ("*", "domain", ""),
        ("https://a.example/x", "url", "//a.example/x"),
        ("a.example/x", "url", "//a.example/x"),
    ],
)
def test_entries_among_domains(text, kind, form):
    assert Entry.domain(text) == Entry(text, kind, form)


def test_a_domain_of_another_script_is_no_strangers():
    """IDNA of 2003 has strasse.example for straße.example."""
    taken = Takedown.of(domains=["straße.example"])
    assert taken.rule("http://www.straße.example/x") == taken.rule("http://xn--strae-oqa.example/") == "domain"
    assert taken.rule("http://strasse.example/") == ""


def test_a_list_of_an_earlier_version_still_holds():
    """Its hashes are those of URLs as they were compared then."""
    hashed = hashlib.blake2b(b"https://a.example/%7Ex", digest_size=16).hexdigest()
    assert Takedown(frozenset([hashed])).rule("HTTPS://A.example/%7Ex#top") == "url"
    assert Takedown(frozenset([hashed])).rule("https://a.example/") == ""


def test_lists_add_up_and_are_read_back(tmp_path):
    made = Takedown.of(["http://a.example/x"]) | Takedown.of(domains=["b.example"])
    (tmp_path / TAKEDOWN_FILE).write_bytes(made.as_json())
    found = takedown_of(LocalStore(tmp_path))
    assert found == made == read_takedown(tmp_path / TAKEDOWN_FILE)
    assert found.rule("http://c.b.example/") == "domain"
    assert found.digest != Takedown.of(domains=["b.example"]).digest
    assert b"example" not in (tmp_path / TAKEDOWN_FILE).read_bytes()


def test_no_list_removes_nothing(tmp_path):
    found = takedown_of(LocalStore(tmp_path))
    assert not found
    assert found == read_takedown(tmp_path / TAKEDOWN_FILE)
    assert found.rule("http://a.example/") == ""


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"urls": []})])
def test_a_damaged_list_is_an_error(tmp_path, content):
    """An empty list instead would bring the pages back."""
    (tmp_path / TAKEDOWN_FILE).write_text(content)
    with pytest.raises(IntegrityError, match=TAKEDOWN_FILE):
        takedown_of(LocalStore(tmp_path))
