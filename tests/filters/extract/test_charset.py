import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.extract.charset import (
    PRESCAN_BYTES,
    charset_name,
    codec_of,
    decode_html,
    evidence_for_utf8,
    http_charset,
    meta_charset,
)
from native import kernels
from tests.growth import assert_linear

RUSSIAN = "<p>Съешь же ещё этих мягких французских булок, да выпей чаю.</p>" * 5
FRENCH = "<p>Où est le garçon à la crème brûlée ? « Là-bas », dit-elle — déçue.</p>" * 5
JAPANESE = "<p>吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。</p>" * 5
CHINESE = "<p>这是一个测试网页，里面有一些中文内容。</p>" * 5
POLISH = "<p>Zażółć gęślą jaźń, a potem pójdź ze mną na świąteczną kolację.</p>" * 5


@pytest.mark.parametrize(
    ("body", "http", "text", "charset", "how"),
    [
        (b"\xef\xbb\xbf" + RUSSIAN.encode(), "windows-1251", RUSSIAN, "utf-8", "bom"),
        (b"\xff\xfe" + RUSSIAN.encode("utf-16-le"), None, RUSSIAN, "utf-16le", "bom"),
        (b"\xfe\xff" + RUSSIAN.encode("utf-16-be"), None, RUSSIAN, "utf-16be", "bom"),
        (RUSSIAN.encode(), "UTF-8", RUSSIAN, "utf-8", "http"),
        (RUSSIAN.encode("cp1251"), "windows-1251", RUSSIAN, "windows-1251", "http"),
        (FRENCH.encode("cp1252"), "ISO-8859-1", FRENCH, "windows-1252", "http"),
        (JAPANESE.encode("iso2022_jp"), "iso-2022-jp", JAPANESE, "iso-2022-jp", "http"),
        (RUSSIAN.encode("utf-16-le"), "utf-16", RUSSIAN, "utf-16le", "http"),
        (b"<meta charset=koi8-r>" + RUSSIAN.encode("koi8-r"), None, None, "koi8-r", "meta"),
        # HTTP over meta
        (b"<meta charset=koi8-r>" + RUSSIAN.encode("cp1251"), "cp1251", None, "windows-1251", "http"),
        # a declared charset that does not fit falls to the next
        (b"<meta charset=big5>" + FRENCH.encode("cp1252"), "latin1", None, "windows-1252", "http"),
        (b"<meta charset=shift_jis>" + JAPANESE.encode("cp932"), "utf-8", None, "shift_jis", "meta"),
        # an unknown charset counts as none
        (RUSSIAN.encode(), "no-such-charset", RUSSIAN, "utf-8", "utf-8"),
        (RUSSIAN.encode("cp1251"), "\udc80\0", RUSSIAN, "windows-1251", "detected"),
        # valid UTF-8 overrules the label, but a few bytes can be valid by chance
        (FRENCH.encode(), "iso-8859-1", FRENCH, "utf-8", "utf-8"),
        (CHINESE.encode(), "gbk", CHINESE, "utf-8", "utf-8"),
        ("<p>联通</p>".encode("gbk"), "gb2312", "<p>联通</p>", "gb18030", "http"),
        # a tag that was read as ASCII can't declare UTF-16
        (b"<meta charset=utf-16>" + FRENCH.encode(), None, None, "utf-8", "meta"),
        (b"<p>only ascii</p>", "utf-16", "<p>only ascii</p>", "utf-8", "utf-8"),
        (CHINESE.encode("gb18030"), None, CHINESE, "gb18030", "detected"),
        (FRENCH.encode("cp1252"), None, FRENCH, "windows-1252", "detected"),
        (POLISH.encode("iso8859-2"), None, POLISH, "iso-8859-2", "detected"),
        # one quote is not enough evidence for a Central European charset
        (b"<p>" + b"plain words " * 50 + b"it\x92s</p>", None, None, "windows-1252", "detected"),
        # nearly UTF-8: a string cut by bytes
        (FRENCH.encode() + b"\xc3 end", "utf-8", FRENCH + "\ufffd end", "utf-8", "replaced"),
        # cut by the crawler in mid-character
        (RUSSIAN.encode()[:-5], "utf-8", RUSSIAN[:-5], "utf-8", "http"),
        ((RUSSIAN + "ё").encode()[:-1], "utf-8", RUSSIAN, "utf-8", "http"),
        ((JAPANESE + "猫").encode("cp932")[:-1], "sjis", JAPANESE, "shift_jis", "http"),
        # a declared charset with one bad byte among many
        (JAPANESE.encode("euc-jp") + b"\xff end", "euc-jp", JAPANESE + "\ufffd end", "euc-jp", "replaced"),
        # NULs are not text
        (b"<p>a\0</p>\0\0", None, "<p>a</p>", "utf-8", "utf-8"),
        (b"", None, "", "utf-8", "utf-8"),
        (b"\xef\xbb\xbf", None, "", "utf-8", "bom"),
        (b"\xff\xfe\x00\xd8<\0p\0>\0", None, "\ufffd<p>", "utf-16le", "replaced"),
    ],
)
def test_decode_html(body, http, text, charset, how):
    got, *decided = decode_html(body, http)
    assert decided == [charset, how]
    assert text is None or got == text


ENGLISH = "<p>The mill stood by the river for many years, and nobody asked whose it was.</p>" * 5
WIDE_LABELS = ["gb2312", "gbk", "gb18030", "big5", "shift_jis", "euc-jp", "euc-kr"]


@pytest.mark.parametrize("label", WIDE_LABELS)
@pytest.mark.parametrize(
    "beyond", ["It’s", "“It’s”", "1–2 …", "5 €", "©", "é", "café, naïve", "\xa0", "żółć", "☃", "😀"]
)
def test_a_few_characters_of_utf_8_overrule_a_double_byte_label(label, beyond):
    """The label of the server, of a meta tag, or of both."""
    text = ENGLISH + beyond + ENGLISH
    assert decode_html(text.encode(), label) == (text, "utf-8", "utf-8")
    labelled = f"<meta charset={label}>{text}"
    for http in (None, label):
        assert decode_html(labelled.encode(), http) == (labelled, "utf-8", "utf-8")


@pytest.mark.parametrize("label", WIDE_LABELS)
@pytest.mark.parametrize(
    ("beyond", "stray"),
    [
        (CHINESE, b"\xe8\xbf"),
        (RUSSIAN, b"\xd0"),
        ("“It’s” …", b"\xa0 \x92s "),
        ("It’s", b"\x91a\x92 \xff"),
        ("It’s", b"\xe9t\xe9"),
    ],
)
def test_stray_bytes_in_utf_8_do_not_make_a_double_byte_label_right(label, beyond, stray):
    text, charset, how = decode_html(f"{ENGLISH}{beyond}".encode() + stray + ENGLISH.encode(), label)
    assert (charset, how) == ("utf-8", "replaced")
    assert text.startswith(ENGLISH + beyond)
    assert text.endswith(ENGLISH)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("gb2312", "模"), ("gb2312", "模模"), ("gb2312", "联通"), ("gb2312", CHINESE), ("gbk", "龍的傳人"),
        ("big5", "龍的傳人"), ("shift_jis", "改竄防止のため"), ("shift_jis", "ｶﾀｶﾅ"), ("shift_jis", JAPANESE),
        ("euc-jp", "猫"), ("euc-kr", "한글 문서"),
    ],
)  # fmt: skip
def test_double_byte_pages_with_few_characters_stay_what_their_label_says(label, text):
    text = ENGLISH + text
    got, charset, how = decode_html(text.encode(codec_of(label)), label)
    assert (got, how) == (text, "http")
    assert charset == charset_name(codec_of(label))


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("label", [None, "utf-16", "utf-16le", "utf-16be", "utf-8", "windows-1252", "shift_jis"])
@pytest.mark.parametrize("text", ["<p>a</p>", ENGLISH, FRENCH, RUSSIAN, JAPANESE, CHINESE, "<p>It’s a “fine” 😀</p>"])
def test_utf_16_is_known_by_its_bytes_without_a_mark(order, label, text):
    """Whatever the label says of it."""
    how = "http" if label in ("utf-16", "utf-16le", "utf-16be") else "detected"
    assert decode_html(text.encode(f"utf-16-{order}"), label) == (text, f"utf-16{order}", how)
    assert decode_html((text + "x").encode(f"utf-16-{order}")[:-1], label) == (text, f"utf-16{order}", how)


@pytest.mark.parametrize(
    "body",
    [
        ENGLISH.encode().replace(b" ", b"\0"),
        ENGLISH.encode() + bytes(5000),
        bytes(5000) + ENGLISH.encode(),
        b"<p>a\0</p>",
        ENGLISH.encode("utf-32-le"),
        b"".join(b"%c\0" % byte for byte in b"no tags at all"),
    ],
)
def test_zero_bytes_alone_are_no_utf_16(body):
    text, charset, _ = decode_html(body)
    assert charset == "utf-8"
    assert text.encode() == body.replace(b"\0", b"")


def test_a_broken_surrogate_in_utf_16_is_replaced():
    body = ENGLISH.encode("utf-16-le") + b"\0\xd8" + "</p>".encode("utf-16-le")
    assert decode_html(body) == (ENGLISH + "\ufffd</p>", "utf-16le", "replaced")


PAIR = "😀".encode("utf-16-be", "surrogatepass")
PAIR = b"".join(chr(int.from_bytes(PAIR[at : at + 2])).encode("utf-8", "surrogatepass") for at in (0, 2))
LONE = PAIR[:3]


@pytest.mark.parametrize(
    ("body", "http", "text"),
    [
        (PAIR, "utf-8", "😀"),
        (PAIR, None, "😀"),  # six bytes that make one character are clear
        (PAIR * 3, "windows-1252", "😀😀😀"),
        (b"\xef\xbb\xbf" + PAIR, None, "😀"),
        (LONE, "utf-8", "\ufffd"),
        (LONE + b" " + LONE, "utf-8", "\ufffd \ufffd"),
        (PAIR[3:] + PAIR[:3], "utf-8", "\ufffd\ufffd"),
        ("é".encode() + PAIR + LONE, "utf-8", "é😀\ufffd"),
    ],
)
def test_surrogates_in_utf_8_are_the_characters_that_they_stand_for(body, http, text):
    """CESU-8, as some databases store emoji. Browsers show U+FFFD; one such character must not cost the whole page."""
    mark = body[:3] if body.startswith(b"\xef\xbb\xbf") else b""
    whole = mark + b"<meta charset=utf-8>" * (http == "utf-8") + ENGLISH.encode() + body[len(mark) :] + ENGLISH.encode()
    found, *decided = decode_html(whole, http)
    assert decided == ["utf-8", "replaced"]
    assert found.endswith(ENGLISH + text + ENGLISH)


@pytest.mark.parametrize(
    ("text", "codec"),
    [("Он\xa0— кот. " * 5, "cp1251"), ("aquí\xa0€5 y mañana también, señor. " * 5, "cp1252"), ("aquí\xa0€5", "cp1252")],
)
def test_bytes_like_surrogates_in_other_charsets_are_their_characters(text, codec):
    body = f"{ENGLISH}{text}".encode(codec)
    assert b"\xed\xa0" in body
    assert decode_html(body, codec)[0] == ENGLISH + text
    if len(text) > 10:
        assert decode_html(body, "utf-8")[0] == ENGLISH + text


@pytest.mark.parametrize(
    ("head", "label"),
    [
        (b"<meta charset=utf-8>", "utf-8"),
        (b"<META CHARSET='windows-1251' >", "windows-1251"),
        (b'<meta content="text/html; charset=koi8-r" http-equiv="Content-Type">', "koi8-r"),
        (b'<meta http-equiv=content-type content="text/html;charset = &quot;x">', "&quot"),
        (b'<meta name="x" content="charset=utf-8">', None),
        (b"<!-- <meta charset=big5> --><meta charset=gbk>", "gbk"),
        (b"<!--><meta charset=gbk>", "gbk"),
        (b"<!-- <meta charset=big5>", None),
        (b'<meta name="description" content="a > b"><meta charset=gbk>', "gbk"),
        (b"<metadata charset=big5>", None),
        (b"<meta charset>", None),
        (b"<meta charset=", None),
        (b" " * 3000 + b"<meta charset=gbk>", "gbk"),
        (b" " * 9000 + b"<meta charset=gbk>", None),
        (b'<?xml version="1.0" encoding="windows-1251"?><html>', "windows-1251"),
        (b"", None),
    ],
)
def test_meta_charset(head, label):
    assert meta_charset(head) == label


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("latin1", "cp1252"), (" UTF8 ", "utf-8"), ("ascii", "cp1252"), ("gb2312", "gb18030"),
        ("ks_c_5601-1987", "cp949"),
        ("x-sjis", "cp932"), ("big5-hkscs", "big5hkscs"), ("tis-620", "cp874"), ("iso-8859-9", "cp1254"),
        ("x-mac-cyrillic", "mac_cyrillic"), ("utf-7", None), ("", None), ("ünknown", None),
        ("\0", None), ("utf-8;", None),
    ],
)  # fmt: skip
def test_labels_mean_what_browsers_take_them_for(label, codec):
    assert codec_of(label) == codec


def test_names_are_whatwg_names():
    names = ["utf-8", "cp1252", "cp932", "iso8859-2", "koi8-r", "cp866", "cp874", "gb18030"]
    assert [charset_name(name) for name in names] == [
        "utf-8", "windows-1252", "shift_jis", "iso-8859-2", "koi8-r", "ibm866", "windows-874", "gb18030",
    ]  # fmt: skip


def test_http_charset():
    assert http_charset("text/html; charset=utf-8") == "utf-8"
    assert http_charset('text/html;Charset="ISO-8859-1"; x=y') == "ISO-8859-1"
    assert http_charset("text/html") is None
    assert http_charset("text/html; charset=\u20ac") == "?"


LABELS = st.none() | st.text(max_size=12) | st.sampled_from(
    ["utf-8", "latin1", "utf-16", "utf-16be", "gbk", "big5", "shift_jis", "euc-jp", "euc-kr", "iso-2022-jp",
     "windows-1255", "koi8-u", "x-user-defined", "hz-gb-2312", "utf-7", "replacement", "idna", "rot13",
     "unicode_escape", "punycode"]
)  # fmt: skip


@settings(max_examples=500)
@given(st.binary(max_size=400) | st.binary(max_size=60).map(lambda b: b"<meta charset=gbk>" + b), LABELS)
@example(b"\xed\xa0\x80" * 20, "utf-8")
@example(b"\xff\xfe\x00\xd8<\0", None)
def test_decode_html_never_raises_and_is_always_writable(body, label):
    text, charset, how = decode_html(body, label)
    text.encode()
    assert "\0" not in text
    assert not text.startswith("\ufeff")
    assert how in ("bom", "http", "meta", "utf-8", "detected", "replaced")
    assert codec_of(charset) is not None


@pytest.mark.parametrize("junk", [b"<!--", b"<meta ", b"<meta a=", b'<meta a="', b"<meta =", b"<meta charset='"])
def test_prescan_is_linear(junk):
    assert_linear(lambda size: junk * (size // len(junk)), meta_charset, PRESCAN_BYTES)


def test_the_prescan_ends_at_its_limit():
    assert meta_charset(b" " * (PRESCAN_BYTES - 20) + b"<meta charset='gbk'>") == "gbk"
    assert meta_charset(b" " * PRESCAN_BYTES + b"<meta charset='gbk'>") is None


@pytest.mark.parametrize(
    "label",
    ["utf-8", "utf-16le", "utf-16be", "ibm866", *(f"iso-8859-{i}" for i in range(2, 17) if i != 12), "koi8-r", "koi8-u",
     "macintosh", *(f"windows-125{i}" for i in range(9)), "windows-874", "x-mac-cyrillic", "gbk", "gb18030", "big5",
     "euc-jp", "iso-2022-jp", "shift_jis", "euc-kr", "x-user-defined"],
)  # fmt: skip
def test_no_charset_gives_a_nul_without_a_zero_byte(label):
    pairs = bytes(byte for first in range(1, 256) for second in range(1, 256) for byte in (first, second))
    mixed = pairs + b"".join(pairs[i : i + 2] + pairs[-i - 3 : -i - 1] for i in range(0, len(pairs) - 3, 2))
    assert "\0" not in mixed.decode(codec_of(label), "replace")


LABELS = [None, "utf-8", "latin1", "gbk", "big5", "shift_jis", "utf-16", "no-such-charset"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("ab <>é中😀\0\ufeff"), max_size=30)


@settings(max_examples=300)
@given(TEXTS.map(str.encode) | st.binary(max_size=20), TEXTS, st.sampled_from(LABELS), st.sampled_from(LABELS))
@example("联".encode(), "", "gbk", None)
@example("\ufeffa".encode(), "", None, None)
def test_the_evidence_for_utf_8_is_that_of_decoding(start, text, http, meta):
    body = start + (f"<meta charset={meta}>" if meta else "").encode() + text.encode()
    how = evidence_for_utf8(body, http)
    if how is not None:
        assert decode_html(body, http) == (body.decode(), "utf-8", how)


def test_text_in_utf_8_is_not_decoded_to_know_its_charset():
    assert evidence_for_utf8(FRENCH.encode(), "utf-8") == "http"
    assert evidence_for_utf8(b"<meta charset=utf-8>" + FRENCH.encode(), "latin1") == "meta"
    assert evidence_for_utf8(FRENCH.encode(), None) == "utf-8"
    assert evidence_for_utf8(RUSSIAN.encode()[:-6], None) is None
    assert evidence_for_utf8(FRENCH.encode("latin1", "replace"), "utf-8") is None


@settings(max_examples=500)
@given(
    st.lists(
        st.sampled_from([b"a", b"abcdefgh", b"\0", b"\x7f", "é".encode(), "\u07ff\u0800\ud7ff\ue000\uffff".encode()])
        | st.integers(0x10000, 0x10FFFF).map(lambda code: chr(code).encode())
        | st.integers(0x80, 0xFF).map(lambda byte: bytes([byte]))
        | st.tuples(st.integers(0xE0, 0xF5), st.integers(0x80, 0xBF), st.integers(0x80, 0xBF)).map(bytes),
        max_size=12,
    ).map(b"".join)
)
def test_utf_8_is_told_as_python_tells_it(body):
    try:
        expected = None if b"\0" in body else sum(byte >= 0x80 for byte in body.decode().encode())
    except UnicodeDecodeError:
        expected = None
    assert kernels.beyond_ascii(body) == expected
