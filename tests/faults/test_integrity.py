"""Output that was harmed after the run: `verify` finds it and names the file, and readers refuse it."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.errors import CorpusError
from corpus.run import open_run
from jobs.build.build import build
from jobs.build.plan import Job
from jobs.runner.progress import Progress
from tests.engines import InProcess
from tests.stubs import FACTORY, recipe_from_dict
from tests.warcs import WORDS, page, write_warc

NOT_PROMISED = {"timings.json"}
KINDS = ("corpus", "ledger", "samples")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The output of a run with several parts of each kind that has them, and an index."""
    folder = tmp_path_factory.mktemp("integrity")
    chance = random.Random(5)
    pages = {}
    for number in range(60):
        words = "short" if number % 10 == 4 else " ".join(chance.choices(WORDS.split(), k=80 + number))
        pages[f"http://site{number}.example/"] = page(f"Page {number}", words)
    write_warc(folder / "w.warc.gz", pages)
    stages = [{"stage": "url"}, {"stage": "paragraphs", "chars": {"min": 300}}, {"stage": "minhash"}]
    recipe = recipe_from_dict({"stages": stages, "output": {"rows_per_part": 20}})
    made = Job(recipe, [str(folder / "w.warc.gz")], folder / "out", factory=FACTORY)
    assert build(made, lambda: InProcess(), Progress(quiet=True)).exit_code == 0
    open_run(folder / "out").verify()
    assert len(list((folder / "out" / "corpus").iterdir())) >= 2
    return folder / "out"


def files(folder: Path) -> list[Path]:
    """The files whose bytes are promised, as paths below the folder."""
    found = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in found if path.name not in NOT_PROMISED]


def flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def cut(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def delete(path: Path, chance: random.Random) -> None:
    path.unlink()


def swap(path: Path, chance: random.Random) -> None:
    """Swap the file with one of the same kind and other content, if there is one."""
    others = [other for other in path.parent.iterdir() if other.is_file() and other.read_bytes() != path.read_bytes()]
    if path.name == "run.json" or not others:
        others = [path.parent.parent / path.parent.name / path.name]
        path.write_bytes(b"{}" + path.read_bytes())
        return
    other = chance.choice(sorted(others))
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


HARMS = {"bit flips": flip, "truncations": cut, "deletions": delete, "swaps": swap}


def harmed(whole: Path, folder: Path, file: Path, harm: str, seed: int) -> list[str]:
    """A copy of the output with one file harmed, and the names of the files that are not as they were."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    HARMS[harm](folder / file, random.Random(seed))
    same = {path for path in files(folder) if (folder / path).read_bytes() == (whole / path).read_bytes()}
    return [path.name for path in files(whole) if path not in same]


def named(folder: Path, changed: list[str]) -> bool:
    """Return True if `verify` raises our own error, and the error names one of the changed files."""
    try:
        open_run(folder).verify()
    except CorpusError as error:
        # a folder without run.json is no finished run, and the error says so by the folder's name
        return any(name in str(error) for name in changed) or (changed == ["run.json"] and str(folder) in str(error))
    return False


def tally(whole: Path, tmp_path: Path, harm: str, times: int) -> tuple[int, int]:
    chance = random.Random(times)
    tried = found = 0
    for seed in range(times):
        changed = harmed(whole, tmp_path / "x", chance.choice(files(whole)), harm, seed)
        tried += bool(changed)
        found += bool(changed) and named(tmp_path / "x", changed)
    return tried, found


@pytest.mark.parametrize("harm", HARMS)
def test_verify_names_what_was_harmed(whole, tmp_path, harm: str) -> None:
    tried, found = tally(whole, tmp_path, harm, 25)
    assert found == tried > 20


@pytest.mark.parametrize("harm", ["bit flips", "deletions"])
def test_every_file_is_watched(whole, tmp_path, harm: str) -> None:
    for file in files(whole):
        assert named(tmp_path / "x", harmed(whole, tmp_path / "x", file, harm, 1)), file


@pytest.mark.slow
@pytest.mark.parametrize("harm", HARMS)
def test_verify_names_each_of_200(whole, tmp_path, record_result, harm: str) -> None:
    tried, found = tally(whole, tmp_path, harm, 205)
    record_result(f"output: {harm}, `corpus verify` names the file", tried=tried, survived=found)
    assert found == tried >= 200


def test_a_file_too_many_is_named(whole, tmp_path) -> None:
    for extra in ("corpus/part-00009.parquet", "manifest/corpus-00009.json"):
        shutil.rmtree(tmp_path / "x", ignore_errors=True)
        shutil.copytree(whole, tmp_path / "x")
        source = next((whole / Path(extra).parent).glob("*0000*"))
        shutil.copy(source, tmp_path / "x" / extra)
        with pytest.raises(CorpusError, match=Path(extra).name):
            open_run(tmp_path / "x").verify()


def test_the_command_says_it_and_exits_1(whole, tmp_path) -> None:
    file = next(file for file in files(whole) if file.parts[0] == "ledger")
    harmed(whole, tmp_path / "x", file, "bit flips", 3)
    command = [sys.executable, "-m", "jobs.cli", "verify", str(tmp_path / "x")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert file.name in ended.stderr
    assert "Traceback" not in ended.stderr


def read(folder: Path, kind: str) -> pa.Table:
    return open_run(folder).dataset(kind).to_table()


def refused(whole: Path, tmp_path: Path, times: int) -> Counter[str]:
    """Count what the library does with harmed parquet files, over many bit flips."""
    seen: Counter[str] = Counter()
    chance = random.Random(11)
    expected = {kind: read(whole, kind) for kind in KINDS}
    for seed in range(times):
        kind = chance.choice(KINDS)
        file = chance.choice([file for file in files(whole) if file.parts[0] == kind])
        harmed(whole, tmp_path / "x", file, "bit flips", seed)
        try:
            same = read(tmp_path / "x", kind).equals(expected[kind])
            seen["unharmed" if same else "silent"] += 1
        except (CorpusError, OSError, pa.ArrowException):
            seen["refused"] += 1
    return seen


def test_readers_refuse_damaged_parts(whole, tmp_path) -> None:
    seen = refused(whole, tmp_path, 60)
    assert seen["silent"] == 0
    assert seen["refused"] > 20


def test_without_the_footers_digest_damage_would_be_silent(whole, tmp_path) -> None:
    """Page checksums alone miss damage to the footer. This is the reason for its digest in the manifest."""
    file = next(whole / file for file in files(whole) if file.parts[0] == "ledger")
    data = file.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    expected = pq.read_table(file)
    silent = 0
    for place in range(len(data) - 8 - length, len(data) - 8, max(1, length // 400)):
        changed = bytearray(data)
        changed[place] ^= 1
        (tmp_path / "x.parquet").write_bytes(changed)
        try:
            silent += not pq.read_table(tmp_path / "x.parquet", page_checksum_verification=True).equals(expected)
        except (OSError, ValueError, pa.ArrowException):
            continue
    assert silent > 0


@pytest.mark.slow
def test_readers_refuse_of_500(whole, tmp_path, record_result) -> None:
    seen = refused(whole, tmp_path, 500)
    record_result(
        "output: bit flips, read by the library", tried=500, survived=500 - seen["silent"],
        measured=f"{seen['refused']} refused, {seen['unharmed']} where nothing is, {seen['silent']} silent",
    )  # fmt: skip
    assert seen["silent"] == 0
