import sys

import pytest


@pytest.fixture(autouse=True)
def without_ray(request, monkeypatch):
    """Block Ray: filters and their tests need none."""
    assert "ray_engine" not in request.fixturenames
    monkeypatch.setitem(sys.modules, "ray", None)
