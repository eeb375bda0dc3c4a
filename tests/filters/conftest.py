import sys

import pytest


@pytest.fixture(autouse=True)
def without_ray(request, monkeypatch):
    """Block Ray: no filter and no test of one needs it."""
    assert "ray_engine" not in request.fixturenames
    monkeypatch.setitem(sys.modules, "ray", None)
