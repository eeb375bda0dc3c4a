"""The manifest: every change of a sealed run is found and named."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.errors import IntegrityError
from corpus.storage.commits import Part, sha256_of
from corpus.storage.manifest import SEAL, check_seal, checked_path, read_manifest, write_manifest
from corpus.storage.store import LocalStore

RUN_JSON = b'{"complete": true}\n'


@pytest.fixture
def store(tmp_path):
    """A run with two parquet files of one kind, and one file of another."""
    made = LocalStore(tmp_path)
    parts = []
    for number in range(2):
        path = tmp_path / "ledger" / f"part-{number:05d}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"number": [number] * 9}), path, write_page_checksum=True)
        parts.append(Part("ledger", f"ledger/{path.name}", 9, path.stat().st_size, sha256_of(path)))
    made.put_new("index/keys-00000.boxes", b"boxes")
    parts.append(Part("index", "index/keys-00000.boxes", 1, 5, sha256_of(tmp_path / "index" / "keys-00000.boxes")))
    made.put_new("run.json", RUN_JSON)
    write_manifest(made, parts, RUN_JSON)
    return made


def test_the_list_is_read_back_in_order(store):
    listed = read_manifest(store, "ledger")
    assert [part.key for part in listed] == ["ledger/part-00000.parquet", "ledger/part-00001.parquet"]
    assert all(part.footer for part in listed)
    assert [part.footer for part in read_manifest(store, "index")] == [""]
    check_seal(store)
    assert [checked_path(store, part).name for part in listed] == ["part-00000.parquet", "part-00001.parquet"]


@pytest.mark.parametrize("key", ["run.json", SEAL, "manifest/ledger-00001.json"])
@pytest.mark.parametrize("harm", ["change", "delete"])
def test_a_harmed_file_is_named(store, key, harm):
    if harm == "delete":
        store.discard(key)
    else:
        store.replace(key, store.get(key).replace(b"e", b"f"))
    with pytest.raises(IntegrityError, match=key):
        check_seal(store)


def test_a_seal_in_another_form_is_not_the_runs(store):
    """The digests in the seal are right. Only the bytes of the seal differ."""
    store.replace(SEAL, store.get(SEAL).replace(b"\n", b""))
    with pytest.raises(IntegrityError, match="is damaged"):
        check_seal(store)


def test_an_extra_file_is_named(store):
    store.put_new("manifest/ledger-00002.json", store.get("manifest/ledger-00001.json"))
    with pytest.raises(IntegrityError, match=r"manifest/ledger-00002\.json does not belong to the run"):
        check_seal(store)


def test_a_listed_file_of_other_fields_is_named(store):
    store.replace("manifest/ledger-00000.json", b'{"kind": "ledger"}')
    with pytest.raises(IntegrityError, match=r"ledger-00000\.json is damaged"):
        read_manifest(store, "ledger")


@pytest.mark.parametrize(("harm", "message"), [("delete", "missing"), ("cut", "damaged"), ("footer", "damaged")])
def test_a_harmed_parquet_file_is_not_opened(store, harm, message):
    part = read_manifest(store, "ledger")[0]
    content = bytearray(store.get(part.key))
    if harm == "delete":
        store.discard(part.key)
    else:
        content[-20] ^= 1  # in the footer
        store.replace(part.key, bytes(content if harm == "footer" else content[:-1]))
    with pytest.raises(IntegrityError, match=rf"part-00000\.parquet is {message}"):
        checked_path(store, part)


def test_a_file_that_claims_an_absurd_footer_has_a_digest_of_its_own(store, tmp_path):
    """The length at the end of the file leads to a position before its start."""
    path = tmp_path / "ledger" / "part-00002.parquet"
    path.write_bytes(b"0123" + (1 << 30).to_bytes(4, "little") + b"PAR1")
    part = Part("ledger", "ledger/part-00002.parquet", 1, 12, sha256_of(path))
    store.remove("manifest")
    write_manifest(store, [part], RUN_JSON)
    (listed,) = read_manifest(store, "ledger")
    assert checked_path(store, listed) == path


def test_a_file_of_the_manifest_lists_its_own_kind(store):
    entry = json.loads(store.get("manifest/ledger-00000.json"))
    store.replace("manifest/ledger-00000.json", json.dumps({**entry, "kind": "corpus"}).encode())
    with pytest.raises(IntegrityError, match=r"ledger-00000\.json is damaged"):
        read_manifest(store, "ledger")
    assert read_manifest(store, "corpus") == []
