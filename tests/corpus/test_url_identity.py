"""Which URLs are the same: one pair per rule with its siblings, what stays different, and the laws of any URL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.tables.ledger import ledger_identity, ledger_url
from corpus.url_identity import host_name, list_entry, split_url, url_identity, url_key
from tests.growth import assert_linear


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("http://a.example/x", "https://a.example/x"),
        ("HTTP://a.example/x", "http://a.example/x"),
        ("a.example/x", "http://a.example/x"),
        ("//a.example/x", "https://a.example/x"),
        ("  http://a.example/x\n", "http://a.example/x"),
        ("http://A.Example/x", "http://a.example/x"),
        ("http://a.example./x", "http://a.example/x"),
        ("http://a.example:80/x", "http://a.example/x"),
        ("https://a.example:443/x", "http://a.example/x"),
        ("http://a.example:/x", "http://a.example/x"),
        ("http://a.example:08080/x", "http://a.example:8080/x"),
        ("http://a.example", "http://a.example/"),
        ("http://a.example?q", "http://a.example/?q"),
        ("http://a.example/x#part", "http://a.example/x"),
        ("http://@a.example/x", "http://a.example/x"),
        # percent-encoding (RFC 3986, 6.2.2)
        ("http://a.example/%7Ejoe/%41%2d%5f", "http://a.example/~joe/A-_"),
        ("http://a.example/a%2fb", "http://a.example/a%2Fb"),
        ("http://a.example/é", "http://a.example/%c3%a9"),
        ("http://a.example/a b", "http://a.example/a%20b"),
        ('http://a.example/"x"|{y}', "http://a.example/%22x%22%7C%7By%7D"),
        ("http://a.example/<x>", "http://a.example/%3Cx%3E"),
        ("http://a.example/100%", "http://a.example/100%25"),
        ("http://a.example/?q=%61", "http://a.example/?q=a"),
        ("http://%61.example/", "http://a.example/"),
        # dot segments
        ("http://a.example/x/../y/./z", "http://a.example/y/z"),
        ("http://a.example/x/%2e%2E/y", "http://a.example/y"),
        ("http://a.example/../x", "http://a.example/x"),
        ("http://a.example/x/..", "http://a.example/"),
        ("http://a.example/x/.", "http://a.example/x/"),
        # names of other scripts, as browsers look them up (UTS 46, non-transitional)
        ("http://straße.example/", "http://xn--strae-oqa.example/"),
        ("http://BÜCHER.example/", "http://xn--bcher-kva.example/"),
        ("http://bu\u0308cher.example/", "http://bücher.example/"),
        ("http://b%C3%BCcher.example/", "http://bücher.example/"),
        ("http://ΟΔΟΣ.example/", "http://xn--pxavbq.example/"),
        ("http://οδος.example/", "http://xn--pxavbm.example/"),
        ("http://пример。example/", "http://xn--e1afmkfd.example/"),
        ("http://ａ.example/", "http://a.example/"),
        ("http://a\u00adb.example/", "http://ab.example/"),
        ("http://i❤.example/", "http://xn--i-7iq.example/"),
        # other addresses
        ("http://[2001:DB8:0:0::1]/x", "http://[2001:db8::1]/x"),
        ("ftp://A.example/x", "FTP://a.example/x"),
        ("dns:a.example#x", "DNS:a.example"),
    ],
)
def test_same(url, other):
    assert url_identity(url) == url_identity(other)
    assert url_key(url) == url_key(other)


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("http://a.example/x", "http://www.a.example/x"),
        ("http://a.example/x", "http://a.example/x/"),
        ("http://a.example/x", "http://a.example/X"),
        ("http://a.example/x", "http://a.example/x?"),
        ("http://a.example/x?a&b", "http://a.example/x?b&a"),
        ("http://a.example/x", "http://a.example:8080/x"),
        ("http://a.example/a/b", "http://a.example/a%2Fb"),
        ("http://a.example/a+b", "http://a.example/a%20b"),
        ("http://a.example/?q=/../x", "http://a.example/x"),
        ("http://a.example/x", "http://joe@a.example/x"),
        ("http://a.example/x", "ftp://a.example/x"),
        ("http://a.example/%2541", "http://a.example/A"),
        ("http://straße.example/", "http://strasse.example/"),
        ("http://οδος.example/", "http://οδοσ.example/"),
        ("dns:a.example", "http://a.example/"),
    ],
)
def test_not_the_same(url, other):
    assert url_identity(url) != url_identity(other)
    assert ledger_identity(url) != ledger_identity(other)


def test_a_key_has_no_scheme_no_user_and_no_final_slash():
    assert url_key("ftp://joe:pw@a.example:8080/x//") == url_key("a.example:8080/x") == "a.example:8080/x"
    assert url_key("http://a.example/") == "a.example"


hostile = st.text() | st.text("htp:/.%#?@[]a2eE5<> \u00df\u3002\ud800é") | st.text("htps:/wa.xe@%40=&?umil<>EMAILUSR")


@given(hostile)
def test_the_identity_of_an_identity_is_itself(url):
    assert url_identity(url_identity(url)) == url_identity(url)
    assert host_name(host_name(url)) == host_name(url)


@given(hostile)
def test_a_url_and_its_form_in_the_ledger_are_the_same(url):
    """A run has the one, and a replay of it the other: a takedown must remove the same pages."""
    assert ledger_identity(ledger_url(url.strip())) == ledger_identity(url)


pieces = st.text("abcXYZ019-._~", min_size=1)


@given(pieces, pieces, st.data())
def test_escapes_of_what_needs_none_change_nothing(path, query, data):
    def escaped(text):
        ways = [data.draw(st.sampled_from([char, f"%{ord(char):02x}", f"%{ord(char):02X}"])) for char in text]
        return "".join(ways)

    assert url_identity(f"http://a.example/{escaped(path)}?{escaped(query)}") == url_identity(
        f"http://a.example/{path}?{query}"
    )


@given(st.text(st.characters(codec="utf-8", min_codepoint=0x80), min_size=1))
def test_other_scripts_are_the_escapes_of_their_bytes(path):
    escaped = "".join(f"%{byte:02x}" for byte in path.encode())
    assert url_identity(f"http://a.example/{path}/x") == url_identity(f"http://a.example/{escaped}/x")


@pytest.mark.parametrize(
    "long",
    [
        lambda size: "http://a.example/" + "%" * size,
        lambda size: "/." * size,
        lambda size: "/.." * size,
        lambda size: "." * size,
        lambda size: "a" * size + "." * size,
    ],
)
def test_long_urls_take_linear_time(long):
    assert_linear(long, url_identity, 10**5)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://www.Example.com/A/b?q=1#frag", ("www.example.com", "", "/A/b?q=1")),
        ("HTTP://u:p@h.example:80/x", ("h.example", "", "/x")),
        ("http://a@b@h.example:8080", ("h.example", ":8080", "")),
        ("//h.example?x=//y", ("h.example", "", "?x=//y")),
        ("h.example/x://y", ("h.example", "", "/x://y")),
        ("http://[2001:DB8::1]:8080/x", ("[2001:db8::1]", ":8080", "/x")),
        ("http://h.example./x", ("h.example", "", "/x")),
        ("http://bücher.example/ü", ("xn--bcher-kva.example", "", "/ü")),
        ("dns:a.example", ("", "", "dns:a.example")),
        ("", ("", "", "")),
        ("///x", ("", "", "/x")),
    ],
)
def test_split_url(url, parts):
    assert split_url(url) == parts


@given(st.text())
def test_any_text_has_parts(url):
    host = split_url(url)[0]
    assert host_name(host) == host
    assert "@" not in host or "@" not in url.partition("/")[0]
    assert not url_key(url).endswith("/")


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("a.example", "a.example"),
        ("\ufeffa.example\r", "a.example"),
        (" \ta.example\u00a0\u200b ", "a.example"),
        ("# why", ""),
        ("  # why", ""),
        ("   ", ""),
        ("http://a.example/x#part  # why", "http://a.example/x#part"),
        ('"http://a.example/x"', "http://a.example/x"),
        ("'a.example' # why", "a.example"),
        ("<http://a.example/x>", "http://a.example/x"),
        ("“ a.example ”", "a.example"),
        ("`a.example`", "a.example"),
        ('"a.example",', "a.example"),
        ("a.example/'x'", "a.example/'x'"),
    ],
)
def test_the_entry_in_a_line(line, entry):
    assert list_entry(line) == entry
