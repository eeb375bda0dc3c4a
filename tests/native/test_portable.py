"""The kernels decide the same without optimizations, and on another processor."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from filters.classifier.model import MODELS
from tests.faults.fuzz import real_pages

ROOT = Path(__file__).parents[2]
PAGES = 200


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    files = []
    for number, page in enumerate(real_pages([], PAGES)):
        files.append(folder / str(number))
        files[-1].write_bytes(page)
    return files


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The tables of C++ that scripts write."""
    folder = tmp_path_factory.mktemp("tables")
    for script, name in (("named_references", "html_named_references"), ("unicode_classes", "unicode_classes")):
        done = subprocess.run([sys.executable, ROOT / "native" / f"{script}.py"], capture_output=True, check=True)
        (folder / f"{name}.inc").write_bytes(done.stdout)
    return folder


def digests(pages, tables, program, compiler, emulator=()):
    sources = [path for path in (ROOT / "native" / "src").glob("*.cpp") if "nanobind" not in path.read_text()]
    strict = ["-Wall", "-Wextra", "-Werror"]  # GCC and clang warn of different things
    options = ["-std=c++17", *strict, "-ffp-contract=off", f"-I{tables}", f"-I{ROOT / 'native' / 'src'}"]
    command = [*compiler, *options, ROOT / "tests" / "native" / "digests.cpp", *sources, "-o", program]
    subprocess.run(command, check=True)
    model = MODELS / "page_type" / "model.bin"
    done = subprocess.run([*emulator, program, model, *pages], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 6
    return done.stdout


@pytest.mark.slow
def test_the_same_without_optimizations(pages, tables, tmp_path):
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    results = {digests(pages, tables, tmp_path / level, [compiler, level]) for level in ("-O0", "-O2")}
    assert len(results) == 1


@pytest.mark.slow
def test_the_same_on_another_processor(pages, tables, tmp_path):
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if emulator is None or importlib.util.find_spec("ziglang") is None:
        pytest.skip("qemu-user and the package ziglang build and run programs for aarch64")
    zig = [sys.executable, "-m", "ziglang", "c++", "-O2", "-target"]
    ours = digests(pages, tables, tmp_path / "x86_64", [*zig, "x86_64-linux-musl"])
    other = digests(pages, tables, tmp_path / "aarch64", [*zig, "aarch64-linux-musl"], [emulator])
    assert ours == other
