"""Takedown lists: which URLs and domains they cover, and how they are stored."""

import json

import pytest

from corpus.errors import IntegrityError
from corpus.storage.store import LocalStore
from corpus.tables.takedown import TAKEDOWN_FILE, Takedown, domain_form, host_of, read_takedown, takedown_of, url_form


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("http://a.example/x#part", "http://a.example/x"),
        ("http://a.example/x", "http://a.example/x#part"),
        ("HTTP://A.Example", "http://a.example/"),
        ("http://a.example/u?email=bob%40mail.example", "http://a.example/u?email=<EMAIL>"),
        ("https://bob:pw@a.example/", "https://<USER>@a.example/"),
        ("  http://a.example/x  ", "http://a.example/x"),
    ],
)
def test_forms_of_one_url(entry, url):
    assert url_form(entry) == url_form(url)
    assert Takedown.of([entry]).rule(url) == "url"
    assert Takedown.of([entry]).rule("http://a.example/other") == ""


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://WWW.a.example:8080/x", "www.a.example"),
        ("https://<USER>@a.example./", "a.example"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("dns:a.example", ""),
        ("http://[::1]/", "[::1]"),
        ("", ""),
    ],
)
def test_hosts(url, host):
    assert host_of(url) == host


def test_domains_are_not_parts_of_names():
    taken = Takedown.of(domains=["a.example"])
    assert taken.rule("http://b.a.example/") == taken.rule("http://a.example") == "domain"
    assert taken.rule("http://ba.example/") == taken.rule("http://a.example.org/") == ""


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (" .A.Example. ", "a.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("ä" * 70 + ".example", "ä" * 70 + ".example"),  # too long for IDNA
    ],
)
def test_forms_of_domains(name, form):
    assert domain_form(name) == form


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
