import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.extract.charset import PRESCAN_BYTES, charset_name, codec_of, decode_html, http_charset, meta_charset
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
        # ASCII saved as UTF-16 without a mark; NULs are not text
        ("<p>a</p>".encode("utf-16-le"), None, "<p>a</p>", "utf-8", "utf-8"),
        (b"", None, "", "utf-8", "utf-8"),
        (b"\xef\xbb\xbf", None, "", "utf-8", "bom"),
        (b"\xff\xfe\x00\xd8<\0p\0>\0", None, "\ufffd<p>", "utf-16le", "replaced"),
    ],
)
def test_decode_html(body, http, text, charset, how):
    got, *decided = decode_html(body, http)
    assert decided == [charset, how]
    assert text is None or got == text


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
