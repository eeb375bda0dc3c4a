"""The number of CPUs, from an affinity mask and cgroup files made for the test."""

from __future__ import annotations

import os

import pytest

from corpus.cpus import usable_cpus


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Make a root folder with these files. The affinity mask has 16 CPUs of 64."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)

    def make(**files: str):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return make


def v1(group: str, quota: str, period: str = "100000\n") -> dict[str, str]:
    folder = f"sys/fs/cgroup/cpu{group}"
    return {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": period}


def test_without_cgroups_the_affinity_mask_counts(machine, monkeypatch):
    assert usable_cpus(machine()) == 16
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cpus(machine()) == 64


@pytest.mark.parametrize(
    ("limit", "cpus"),
    [("max 100000\n", 16), ("400000 100000\n", 4), ("250000 100000\n", 3), ("10000 100000\n", 1),
     ("6400000 100000\n", 16), ("", 16)],
)  # fmt: skip
def test_a_quota_of_cgroup_v2_is_rounded_up(machine, limit, cpus):
    assert usable_cpus(machine(**{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": limit})) == cpus


def test_the_smallest_quota_on_the_way_to_the_root_counts(machine):
    files = {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "200000 100000\n"}
    assert usable_cpus(machine(**files, **{"sys/fs/cgroup/a/b/cpu.max": "max 100000\n"})) == 2
    assert usable_cpus(machine(**{"sys/fs/cgroup/a/b/cpu.max": "100000 100000\n"})) == 1


def test_a_path_out_of_the_cgroup_namespace_stays_below_the_mount(machine):
    files = {"proc/self/cgroup": "0::/../b\n", "sys/fs/cgroup/b/cpu.max": "200000 100000\n"}
    assert usable_cpus(machine(**files, **{"sys/fs/cpu.max": "100000 100000\n"})) == 2


@pytest.mark.parametrize(("quota", "cpus"), [("-1\n", 16), ("300000\n", 3), ("250001\n", 3), ("1000\n", 1)])
@pytest.mark.parametrize("group", ["", "/docker/x"])
def test_a_quota_of_cgroup_v1_is_rounded_up(machine, quota, cpus, group):
    lines = "5:memory:/other\n2:cpuacct,cpu:/docker/x\n1:name=systemd:/\n"
    assert usable_cpus(machine(**{"proc/self/cgroup": lines}, **v1(group, quota))) == cpus


def test_only_the_controller_cpu_counts(machine):
    files = {"proc/self/cgroup": "3:cpuset:/\n2:cpuacct:/\n"}
    assert usable_cpus(machine(**files, **v1("", "100000\n"))) == 16
