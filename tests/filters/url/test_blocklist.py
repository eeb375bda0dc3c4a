"""Building, reading and looking up block lists."""

import gzip
import io
import os
import string
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import ConfigError, OutputError
from filters.url import blocklist, list_files
from filters.url.blocklist import Blocklist, build_blocklist
from filters.url.list_files import hash_of


@pytest.fixture
def build(tmp_path):
    """Build a list from files given by name and content. Return (summary, open list)."""

    def built(**files):
        folder = tmp_path / "lists"
        folder.mkdir(exist_ok=True)
        paths = []
        for name, content in files.items():
            path = folder / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            paths.append(path)
        summary = build_blocklist(paths, tmp_path / "out.blocklist")
        return summary, Blocklist.open(tmp_path / "out.blocklist")

    return built


@pytest.mark.parametrize(
    ("line", "domain"),
    [
        ("a.example", "a.example"),
        ("A.Example", "a.example"),
        ("a.example.", "a.example"),
        (".a.example", "a.example"),
        ("  a.example \r", "a.example"),
        ("a.example # why", "a.example"),
        ("www.a.example", "www.a.example"),
        ('"a.example"', "a.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("i❤.example", "xn--i-7iq.example"),
        ("пример。example", "xn--e1afmkfd.example"),
        ("under_score.example", "under_score.example"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_domain_entry(build, line, domain):
    summary, built = build(plain=line)
    assert (summary.domains, summary.urls, summary.ignored_lines) == (1, 0, 0)
    assert built.has_domain(domain)
    assert not built.has_url(domain)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("a.example/x", "a.example/x"),
        ("http://a.example/x/", "a.example/x"),
        ("https://u:p@A.example:443/X?q=1", "a.example/X?q=1"),
        ("a.example:8080", "a.example:8080"),
        ("http://a.example", "a.example"),
        ("a.example/", "a.example"),
        ("a.example/x#", "a.example/x"),
        ("a.example/%7Ex/%c3%a9", "a.example/~x/%C3%A9"),
        ("a.example/é/./y", "a.example/%C3%A9/y"),
        ("//a.example//", "a.example"),
        ("[2001:DB8::1]/x", "[2001:db8::1]/x"),
    ],
)
def test_url_entry(build, line, key):
    summary, built = build(plain=line)
    assert (summary.domains, summary.urls, summary.ignored_lines) == (0, 1, 0)
    assert built.has_url(key)
    assert not built.has_domain(key)


def test_in_a_file_of_urls_a_bare_host_is_a_home_page(build):
    summary, built = build(urls="a.example\n")
    assert (summary.domains, summary.urls) == (0, 1)
    assert built.has_url("a.example")


@pytest.mark.parametrize(
    "line",
    [
        "0.0.0.0 a.example",
        "a..example",
        "a.example/#!/page",
        "http://",
        "/path",
        "\u202ea.example",
        b"\xff.example",
        "a" * 300,
    ],
)
def test_ignored_line(build, line):
    content = b"ok.example\n" + (line if isinstance(line, bytes) else line.encode())
    summary, _ = build(plain=content)
    assert (summary.domains, summary.urls, summary.ignored_lines) == (1, 0, 1)
    assert summary.ignored_example.startswith("plain:2: ")


def test_comments_blank_lines_line_ends_and_duplicates(build):
    content = "\ufeffa.example\r\n\r\n# comment\n   # another\n\nb.example\na.example\nA.EXAMPLE.\nhttp://x.example/p\nx.example/p/"
    summary, built = build(plain=content)
    assert (summary.domains, summary.urls, summary.duplicates, summary.ignored_lines) == (2, 1, 3, 0)
    assert built.has_domain("a.example")
    assert built.has_domain("b.example")


def test_word_lists_by_either_name(build):
    summary, built = build(
        **{
            "banned_words.txt": "#no\nOne\n",
            "hard_words.txt": "two words\n",
            "soft_banned_words.txt": "three\nпорно\n",
            "banned_subwords.txt": "four-five\nfour five\n",
        }
    )
    assert built.hard_words == ("one", "twowords")
    assert built.soft_words == ("three",)
    assert built.subwords == ("fourfive",)
    assert summary.ignored_lines == 1  # a word without an ASCII letter or digit is in no URL
    assert summary.ignored_example == "soft_banned_words.txt:2: порно"


def ut1(folder):
    (folder / "adult").mkdir(parents=True)
    (folder / "adult" / "domains").write_text("a.example\nb.example\n")
    (folder / "adult" / "urls").write_text("c.example/p\n")
    (folder / "adult" / "usage").write_text("black\n")
    (folder / "words").mkdir()
    (folder / "words" / "subwords.txt").write_text("xyz\n")
    return folder


def packed(folder, path):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname=".")
    return path


def test_folder_and_archive_of_ut1(tmp_path):
    folder = ut1(tmp_path / "ut1")
    archive = packed(folder, tmp_path / "ut1.tar.gz")
    from_folder = build_blocklist([folder], tmp_path / "one")
    from_archive = build_blocklist([archive], tmp_path / "two")
    assert (from_folder.domains, from_folder.urls, from_folder.subwords) == (2, 1, 1)
    assert from_folder.digest == from_archive.digest
    assert from_folder.skipped_files == ("ut1/adult/usage",)
    assert from_folder.sources == ("ut1/adult/domains", "ut1/adult/urls", "ut1/words/subwords.txt")


def test_same_entries_same_bytes(tmp_path):
    (tmp_path / "x").write_text("a.example\nb.example\nc.example/p\n")
    (tmp_path / "domains").write_text("d.example\n")
    build_blocklist([tmp_path / "x", tmp_path / "domains"], tmp_path / "one")
    (tmp_path / "x").write_text("c.example/p\nB.example\na.example\na.example")
    build_blocklist([tmp_path / "domains", tmp_path / "x"], tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_border_between_chunks(tmp_path, monkeypatch):
    lines = [f"{'x' * (n % 7)}{n}.example" for n in range(200)]
    (tmp_path / "x").write_text("\n".join(lines))
    whole = build_blocklist([tmp_path / "x"], tmp_path / "one")
    monkeypatch.setattr(list_files, "_CHUNK_BYTES", 10)
    assert build_blocklist([tmp_path / "x"], tmp_path / "two").digest == whole.digest
    (tmp_path / "x").write_text("\n".join([*lines, "bad line"]))
    assert build_blocklist([tmp_path / "x"], tmp_path / "two").ignored_example == "x:201: bad line"


def test_digest_follows_content_alone(tmp_path):
    def digest(name, domains, words="w\n"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "domains").write_text(domains)
        (folder / "hard_words.txt").write_text(words)
        assert Blocklist.read([folder]).digest == build_blocklist([folder], tmp_path / "out").digest
        return Blocklist.open(tmp_path / "out", verify=True).digest

    first = digest("one", "a.example\n")
    assert digest("two", "# comment\nA.example\n") == first
    assert digest("three", "b.example\n") != first
    assert digest("four", "a.example\n", "v\n") != first


def test_source_that_is_no_text(tmp_path):
    (tmp_path / "domains").write_bytes(b"\0\1\2" * 100)
    with pytest.raises(ConfigError, match=r"'domains' is not a text file\. Give"):
        build_blocklist([tmp_path / "domains"], tmp_path / "out")
    (tmp_path / "domains").write_bytes(b"\x1f\x8b broken")
    with pytest.raises(ConfigError, match="can't be read"):
        build_blocklist([tmp_path / "domains"], tmp_path / "out")


def test_archive_that_ends_early(tmp_path):
    noise = b"".join(os.urandom(16).hex().encode() + b".example\n" for _ in range(5000))
    packed_bytes = io.BytesIO()
    with tarfile.open(fileobj=packed_bytes, mode="w:gz") as archive:
        member = tarfile.TarInfo("domains")
        member.size = len(noise)
        archive.addfile(member, io.BytesIO(noise))
    (tmp_path / "x.tar.gz").write_bytes(packed_bytes.getvalue()[:50_000])
    with pytest.raises(ConfigError, match=r"can't be read .*Check the path"):
        build_blocklist([tmp_path / "x.tar.gz"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_list_at_all(tmp_path):
    (tmp_path / "README").write_text("hello")
    with pytest.raises(ConfigError, match=r"no list in .*must be named domains"):
        build_blocklist([tmp_path], tmp_path / "out")
    with pytest.raises(ConfigError, match="can't be read"):
        build_blocklist([tmp_path / "absent"], tmp_path / "out")


def test_out_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    (tmp_path / "x").write_text("a.example\n")
    out = tmp_path / "new" / "out"
    build_blocklist([tmp_path / "x"], out)
    before = out.read_bytes()

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    (tmp_path / "x").write_text("b.example\n")
    with pytest.raises(OutputError, match=r"No space left on device\)\. Give"):
        build_blocklist([tmp_path / "x"], out)
    assert out.read_bytes() == before
    assert os.listdir(out.parent) == ["out"]


def test_a_file_that_is_no_built_list(tmp_path):
    path = tmp_path / "x"
    for content, message in [
        (None, "can't be opened"),
        (b"", "is empty"),
        (b"a.example\n" * 20, "is not a built block list"),
        (gzip.compress(b"x" * 100), "is not a built block list"),
        (b"BLOCKLST", "is damaged"),
        (b"BLOCKLST" + b"\xff" * 100, "is damaged"),
    ]:
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=message) as caught:
            Blocklist.open(path)
        assert caught.value.todo


def test_damage_is_found(tmp_path):
    (tmp_path / "x").write_text("a.example\nb.example/p\n")
    out = tmp_path / "out"
    build_blocklist([tmp_path / "x"], out)
    good = out.read_bytes()
    for bad in (good[:-8], good + b"\0" * 8, good[:60] + bytes([good[60] ^ 1]) + good[61:], good[:20]):
        out.write_bytes(bad)
        with pytest.raises(ConfigError, match=r"is damaged\. Build it again"):
            Blocklist.open(out)
    out.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    Blocklist.open(out)  # the cheap check reads no hashes
    with pytest.raises(ConfigError, match="is damaged"):
        Blocklist.open(out, verify=True)


def test_format_of_another_version(tmp_path, monkeypatch):
    (tmp_path / "x").write_text("a.example\n")
    build_blocklist([tmp_path / "x"], tmp_path / "out")
    monkeypatch.setattr(blocklist, "_VERSION", 3)
    with pytest.raises(ConfigError, match=r"another version of corpus\. Build"):
        Blocklist.open(tmp_path / "out")


names = st.text(string.ascii_lowercase + string.digits + "-_", min_size=1, max_size=8)
hosts = st.lists(names, min_size=1, max_size=4).map(".".join)


@settings(max_examples=200)
@given(listed=st.sets(hosts), others=st.sets(hosts), odd_line=st.booleans())
def test_lookup_is_that_of_a_set(tmp_path_factory, listed, others, odd_line):
    path = tmp_path_factory.mktemp("set") / "domains"
    path.write_text("# Comment.\n" * odd_line + "".join(f"{host}\n" for host in listed))  # the slow way
    built = Blocklist.read([path])
    assert [built.has_domain(host) for host in listed | others] == [host in listed for host in listed | others]
    assert list(built.domains) == sorted(map(hash_of, listed))
