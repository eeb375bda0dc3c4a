"""The kernels read hostile bytes: they run with sanitizers over mutated pages, and give what the ordinary ones give."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = int(os.environ.get("SANITIZED_PAGES", "5000"))


@pytest.mark.slow
def test_no_kernel_leaves_its_bounds(tmp_path):
    build = tmp_path / "build"
    options = ["-G", "Ninja", "-DSANITIZE=ON", "-DCMAKE_BUILD_TYPE=Debug", f"-DPython_EXECUTABLE={sys.executable}"]
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in (
        ["cmake", "-S", str(ROOT / "native"), "-B", str(build), *options],
        ["cmake", "--build", str(build)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    compiler = next(
        line for line in (build / "CMakeCache.txt").read_text().splitlines() if "CMAKE_CXX_COMPILER:" in line
    )
    compiler = compiler.partition("=")[2]
    runtime = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so", "libstdc++.so")
    ]
    # Python and the other libraries keep their memory to the end
    env |= {"LD_PRELOAD": " ".join(runtime), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": str(ROOT)}
    # built without the optimizations of the ordinary kernels, they must decide the same
    printed = []
    for folder, variables in ((build, env), (ROOT / "native", {**os.environ, "PYTHONPATH": str(ROOT)})):
        script = [
            sys.executable,
            "-m",
            "tests.native.sanitized",
            str(next(folder.glob("kernels*.so"))),
            "1",
            str(PAGES),
        ]
        done = subprocess.run(script, capture_output=True, text=True, env=variables, cwd=ROOT)
        assert done.returncode == 0, done.stderr[-5000:]
        printed.append(done.stdout)
    assert printed[0] == printed[1]
    assert printed[0].startswith(f"{PAGES} pages ")
