"""Builds native/. Everything else about the package is in pyproject.toml."""

from setuptools import setup

setup(cmake_source_dir="native")
