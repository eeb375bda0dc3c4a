"""Builds native/. Everything else about the package is in pyproject.toml."""

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import setup

if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
    sys.exit("The kernels need Python's headers: install python3-dev (Debian, Ubuntu) or python3-devel (Fedora).")
if "CXX" not in os.environ and not any(map(shutil.which, ("c++", "g++", "clang++"))):
    if importlib.util.find_spec("ziglang") is None:
        sys.exit("The kernels need a C++ compiler: install g++, or `pip install ziglang`.")
    # CMake takes the words after the first one as arguments of the compiler
    os.environ["CXX"] = f"{sys.executable} -m ziglang c++"

setup(cmake_source_dir="native")
