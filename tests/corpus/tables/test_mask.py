"""Masking of user info, addresses and user names in URLs."""

import string
import urllib.parse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corpus.tables.mask import mask_url
from tests.growth import assert_linear


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://bob@h.example/x", "https://<USER>@h.example/x"),
        ("https://bob:pw@h.example:80/x", "https://<USER>@h.example:80/x"),
        ("https://bob@mail.example:p@w@h.example", "https://<USER>@h.example"),
        ("//bob@h.example?x", "//<USER>@h.example?x"),
        ("http://h.example/to?u=https://bob:pw@g.example/y", "http://h.example/to?u=https://<USER>@g.example/y"),
        (
            "http://h.example/to?u=https%3A%2F%2Fbob%3Apw%40g.example%2Fy",
            "http://h.example/to?u=https%3A%2F%2F<USER>@g.example%2Fy",
        ),
        ("http://h.example/bob.smith@mail.example/x", "http://h.example/<EMAIL>/x"),
        ("http://h.example/bob.smith+tag%40mail.co.example?x", "http://h.example/<EMAIL>?x"),
        ("http://h.example/?a=bob%2Btag%40mail.example&b=1", "http://h.example/?a=<EMAIL>&b=1"),
        ("http://h.example/?a=bob%2540mail%252Eexample&b=1", "http://h.example/?a=<EMAIL>&b=1"),
        (
            "http://h.example/?q=%2Flogin%3Fto%3Dbob%40mail.example%26x",
            "http://h.example/?q=%2Flogin%3Fto%3D<EMAIL>%26x",
        ),
        ("http://h.example/?q=j%C3%BCrgen%40mail.example", "http://h.example/?q=<EMAIL>"),
        ("http://h.example/#bob@mail.example", "http://h.example/#<EMAIL>"),
        ("http://h.example/a@b.example,c@d.example;e@f.example", "http://h.example/<EMAIL>,<EMAIL>;<EMAIL>"),
        ("http://h.example/mailto:bob@mail.example", "http://h.example/mailto:<EMAIL>"),
        ("mailto:bob@mail.example", "mailto:<EMAIL>"),
        ("http://h.example/bob@почта.example", "http://h.example/<EMAIL>"),
        ("http://h.example/bob@mail.xn--p1ai/x", "http://h.example/<EMAIL>/x"),
        ("http://h.example/@bob@social.example", "http://h.example/@<EMAIL>"),
        ("http://h.example/bob@mail.example_x", "http://h.example/<EMAIL>_x"),
        ("http://h.example/?user=bob&x=1", "http://h.example/?user=<USER>&x=1"),
        ("http://h.example/?x=1&UserName=bob#y", "http://h.example/?x=1&UserName=<USER>#y"),
        ("http://h.example/?x=1&amp;user_name=bob", "http://h.example/?x=1&amp;user_name=<USER>"),
        ("http://h.example/?login=bob;x", "http://h.example/?login=<USER>;x"),
        ("http://h.example/?email=bob", "http://h.example/?email=<EMAIL>"),
        ("http://h.example/?e-mail=bob%40mail.example", "http://h.example/?e-mail=<EMAIL>"),
        ("http://h.example/?user=bob%40mail.example", "http://h.example/?user=<USER>"),
        ("http://h.example/#user=bob", "http://h.example/#user=<USER>"),
        ("http://h.example/?u=%2Fx%3Fuser%3Dbob%26y%3D1&z", "http://h.example/?u=%2Fx%3Fuser%3D<USER>%26y%3D1&z"),
    ],
)
def test_masked(url, masked):
    assert mask_url(url) == masked
    assert mask_url(masked) == masked


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://example.com/2020/11/an-article.html?p=12#top",
        "https://medium.com/@name/post",
        "https://www.google.com/maps/@48.85,2.29,17z",
        "https://unpkg.com/react@16.7.0/umd/react.js",
        "https://h.example/icon@2x.png",
        "https://www.flickr.com/photos/12345@N00/",
        "https://h.example/users/list?userid=5&mailing=2",
        "https://h.example/login?next=/x",
        "https://h.example/?user=&x=1",
        "https://h.example/?superuser=1",
        "https://h.example/100%40/x",
        "https://h.example/a@b",
        "@", "a@", "@b.example", "%40", "http://@h.example", "http://h.example/\ud800\0",
    ],
)  # fmt: skip
def test_ordinary_urls_stay(url):
    assert mask_url(url) == url


@pytest.mark.parametrize(
    "unit",
    [
        "a", "@", "a@", "a@b.", "a.b@c-d.e", "%40", "a%40b.", "%2540", "%25", "%", "//", "//a@", "%2F", "%2F%2Fa%40",
        "&user=", "?email=a", "%3Fuser%3D", "@a.", ".a", "-", "<", "\ud800", "é@é.", "login", "%E9@", "user=@&",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "frame", ["{}", "http://{}@h.example/", "http://h.example/{}@", "http://h.example/?user=1@{}!"]
)
def test_linear_time(unit, frame):
    assert_linear(lambda size: frame.format(unit * (size // len(unit))), mask_url, 200_000)


name = st.text(string.ascii_letters + string.digits + "._+-", min_size=1, max_size=20)
mail_host = st.lists(st.text(string.ascii_lowercase, min_size=2, max_size=6), min_size=2, max_size=4).map(".".join)
text = st.text("abcXYZ019/?&=#;:.,-_%~ü", max_size=20)


@given(
    local=name.map(lambda local: f"Qx{local}Zq"),
    host=mail_host,
    before=text,
    after=text,
    at=st.sampled_from(["@", "%40", "%2540"]),
)
def test_no_address_is_left(local, host, before, after, at):
    masked = mask_url(f"http://h.example/{before}/{local}{at}{host}/{after}")
    assert f"{local}{at}" not in masked
    assert f"Zq{at}" not in masked


@given(user=name, password=name, rest=text)
def test_no_user_info_is_left(user, password, rest):
    assert mask_url(f"ftp://{user}:{password}@h.example/{rest}").startswith("ftp://<USER>@h.example/")


@given(key=st.sampled_from(["user", "username", "login", "email"]), value=st.text(min_size=1), before=text)
def test_no_user_name_is_left(key, value, before):
    encoded = urllib.parse.quote(f"Qx{value}Zq", safe="", errors="surrogatepass")
    assert "Qx" not in mask_url(f"http://h.example/{before}?{key}={encoded}&x=1")


@given(st.text("ab@%40253Duser=&?/.:<>EMAIL"))
@example("//a@b@")
def test_twice_is_once(url):
    once = mask_url(url)
    assert mask_url(once) == once


@given(
    st.text().filter(lambda url: not any(mark in url.lower() for mark in ("@", "%40", "2540", "user", "mail", "login")))
)
def test_what_names_nobody_stays(url):
    assert mask_url(url) == url
