"""The scripts of the page: their size, their types, and that no text can become markup."""

import json
import re
import shutil
import subprocess
from importlib import resources

import pytest

STATIC = resources.files("jobs.browse") / "static"
SCRIPTS = sorted(one.name for one in STATIC.iterdir() if one.name.endswith(".js"))
MOST_BYTES = 200_000


def test_they_are_small():
    assert sum(len((STATIC / name).read_bytes()) for name in SCRIPTS) <= MOST_BYTES


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_is_loaded_from_elsewhere_or_made_of_markup(name):
    text = (STATIC / name).read_text(encoding="utf-8")
    assert text.startswith("// @ts-check\n")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function|DOMParser", text)
    assert set(re.findall(r'from "([^"]+)"', text)) <= {f"./{one}" for one in SCRIPTS}
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}


def test_their_types_are_right(tmp_path):
    tsc = shutil.which("tsc")
    if tsc is None:
        pytest.skip("no tsc; `npm install -g typescript`")
    options = {"allowJs": True, "checkJs": True, "noEmit": True, "strict": True, "target": "es2022",
               "module": "es2022", "lib": ["es2022", "dom", "dom.iterable"], "types": []}  # fmt: skip
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": [f"{STATIC}/*.js"]}))
    done = subprocess.run([tsc, "-p", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_where_a_value_stands_and_what_value_stands_there(tmp_path):
    """The handle of a limit is at its value, in all scales."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    for name in ("dom.js", "histogram.js"):
        (tmp_path / name.replace(".js", ".mjs")).write_text(
            (STATIC / name).read_text(encoding="utf-8").replace("./dom.js", "./dom.mjs"), encoding="utf-8"
        )
    program = """
    import { placeOf, valueAt } from "./histogram.mjs";
    const log = [0, 1, 2, 4, 8, 16, 1000], linear = [0.1, 0.2, 0.3, 0.4];
    const wrong = [];
    for (const edges of [log, linear]) {
      for (let place = 0; place < edges.length - 1; place += 0.01) {
        const value = valueAt(edges, place, false);
        if (Math.abs(placeOf(edges, value) - place) > 0.06) wrong.push([place, value, placeOf(edges, value)]);
      }
    }
    for (let value = 0; value < 16; value += 1) {
      if (valueAt(log, placeOf(log, value), true) !== value) wrong.push(value);
    }
    const outside = [placeOf(log, -5) < 0, placeOf(log, 2000) > 6];
    console.log(JSON.stringify([wrong, ...outside, valueAt(log, -3, true), valueAt(log, 99, true)]));
    """
    (tmp_path / "test.mjs").write_text(program)
    done = subprocess.run([node, "test.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], True, True, 0, 1000]
