"""A Ray cluster of several nodes on this machine, by `ray.cluster_utils.Cluster`, in a process of its own: Ray reads
its token mode once in a process.

    python -m tests.faults.nodes NODES        # then a line each on stdin: add, remove NUMBER; on stdin's end it closes
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ray_clusters import environment

_TOLD = "told "
"""The start of our own lines, since Ray prints others between them."""


def main(nodes: int) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    others = [cluster.add_node(num_cpus=1) for _ in range(nodes - 1)]
    tell({"address": cluster.address, "raylets": [raylet(node) for node in others]})
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "add":
            os.environ.update(order["environ"])
            others.append(cluster.add_node(num_cpus=1))
            for name in order["environ"]:
                del os.environ[name]
            tell(raylet(others[-1]))
        else:
            cluster.remove_node(others[order["node"]], allow_graceful=False)
            tell(None)
    cluster.shutdown()


def raylet(node: Any) -> int:
    """The process whose children are the workers of a node."""
    pid: int = node.all_processes["raylet"][0].process.pid
    return pid


def tell(what: object) -> None:
    print(f"{_TOLD}{json.dumps(what)}", flush=True)


class Nodes:
    """The process of a cluster. Nodes have one CPU each, and are numbered from 0 without the head."""

    def __init__(self, nodes: int, folder: Path, token: Path, **environ: str) -> None:
        self.env = {**environment(token), "RAY_TMPDIR": str(folder)}
        command = [sys.executable, "-m", "tests.faults.nodes", str(nodes)]
        self._process = subprocess.Popen(
            command,
            env={**self.env, **environ},
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._said: list[str] = []
        told = self._answer()
        self.address: str = told["address"]
        self.raylets: list[int] = told["raylets"]

    @property
    def pid(self) -> int:
        return self._process.pid

    def remove(self, node: int) -> None:
        """Kill all processes of a node except its Ray workers, which then find that the node is gone."""
        self._order({"do": "remove", "node": node})

    def add(self, **environ: str) -> None:
        self.raylets.append(self._order({"do": "add", "environ": environ}))

    def _order(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(_TOLD):
                return json.loads(line.removeprefix(_TOLD))
            self._said.append(line)
        raise AssertionError("".join(self._said))

    def close(self) -> None:
        self._process.communicate()


@contextmanager
def cluster(nodes: int, folder: Path, token: Path, **environ: str) -> Iterator[Nodes]:
    made = Nodes(nodes, folder, token, **environ)
    try:
        yield made
    finally:
        made.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
