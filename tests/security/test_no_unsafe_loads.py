"""None of our modules loads data that can run code. Lint rules forbid it; these tests prove that the rules are on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUFF = Path(sys.executable).with_name("ruff")
OURS = ("corpus", "filters", "jobs")

UNSAFE = {
    "pickle": ("import pickle\nx = pickle.loads(b'')\n", {"TID251", "S301"}),
    "pickle by another name": ("from pickle import Unpickler\n", {"TID251"}),
    "cloudpickle": ("import cloudpickle\n", {"TID251"}),
    "marshal": ("import marshal\nx = marshal.loads(b'')\n", {"TID251", "S302"}),
    "shelve": ("import shelve\n", {"TID251"}),
    "joblib": ("from joblib import load\n", {"TID251"}),
    "eval": ("x = eval('1')\n", {"S307"}),
    "exec": ("exec('x = 1')\n", {"S102"}),
    "yaml.load": ("import yaml\nx = yaml.load('', Loader=yaml.Loader)\n", {"S506"}),
    "torch.load": ("import torch\nx = torch.load('f', weights_only=False)\n", {"TID251"}),
    "a shell": ("import subprocess\nsubprocess.run('ls', shell=True)\n", {"S602"}),
    "no TLS check": ("import requests\nrequests.get('https://x', verify=False, timeout=1)\n", {"S501"}),
    "no autoescape": ("import jinja2\nx = jinja2.Environment(autoescape=False)\n", {"S701"}),
}


@pytest.mark.parametrize("package", OURS)
@pytest.mark.parametrize("what", UNSAFE)
def test_the_lint_rules_find_unsafe_loads(what, package):
    source, codes = UNSAFE[what]
    command = [RUFF, "check", "--stdin-filename", f"{package}/seen.py", "--output-format", "concise", "-"]
    found = subprocess.run(command, input=source, capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 1, found.stderr
    assert all(f" {code} " in found.stdout for code in codes), found.stdout


def test_no_comment_switches_the_rules_off():
    command = [RUFF, "check", "--ignore-noqa", "--select", "TID251,S102,S3,S5,S602,S604,S605,S701", "--ignore",
               "S311,S314,S324", *OURS, "benchmarks"]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stdout


MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "runpy", "code", "codeop"}
CALLS = {"eval", "exec", "compile", "__import__"}
LOADS = {("torch", "load"), ("yaml", "load"), ("yaml", "unsafe_load"), ("yaml", "full_load")}


def unsafe(source):
    """Return the unsafe imports and calls in a source, found without the linter."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module] if (node.module or "").partition(".")[0] in MODULES else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += [node.func.id] if node.func.id in CALLS else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            found += [f"{owner}.{node.func.attr}"] if (owner, node.func.attr) in LOADS else []
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":  # an option of numpy, off by default
            found.append("allow_pickle")
    return found


def test_a_search_without_the_linter_agrees():
    for what, (source, _) in UNSAFE.items():
        assert unsafe(source) or what in {"a shell", "no TLS check", "no autoescape"}, what
    assert unsafe("import numpy\nx = numpy.load('f', allow_pickle=True)\n")
    files = [path for package in OURS for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 100
    assert {str(path): found for path in files if (found := unsafe(path.read_text()))} == {}
