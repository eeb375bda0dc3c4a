"""What a crawl costs in dollars: core-hours from the saved figures of `benchmarks.vs_datatrove`, times list prices.

With --save, the figures of docs/cluster.md are written.
"""

from __future__ import annotations

import argparse
import re

from benchmarks.machine import CRAWL_PAGES
from benchmarks.quoted import FIGURES

MACHINES = (
    ("AWS us-east-1 c7i", 32, 1.428, 0.5454),
    ("AWS us-east-1 c7a", 64, 3.28448, 1.4381),
    ("Google us-central1 c3d", 30, 1.12047, 0.17847),
)
"""Machines of two clouds: vCPUs, and dollars for an hour on demand and at spot prices.

They are c7i.8xlarge, c7a.16xlarge and c3d-highcpu-30. AWS has a spot price for each zone; this is the median of the
five zones with numbers. The prices were read on 2026-11-29 in stored copies of SkyPilot's catalog, whose dates are not
known: https://github.com/skypilot-org/skypilot-catalog, catalogs/v8/aws/vms.csv at commit 00148f2af367, and
catalogs/v8/gcp/vms.csv at commit 8427bbff988a. The clouds' own pages could not be reached from here. In us-east4, near
Common Crawl, Google's spot price was 0.40303.
"""

WORK = (
    ("pass, `default`", "ours, default, steady state"),
    ("whole build, `default`", "whole build, `default`"),
    ("pass, `fineweb`", "ours, steady state"),
    ("whole build, `fineweb`", "whole `corpus build`"),
    ("datatrove's pass", "datatrove, steady state"),
)
"""Names for the table, and the names that vs_datatrove.txt has for their milliseconds a page."""


def costs() -> list[str]:
    """Core-hours and dollars for a crawl: the saved milliseconds a page times list prices of a vCPU for an hour."""
    saved = (FIGURES / "vs_datatrove.txt").read_text()
    columns = [f"{name} {how}" for name, *_ in MACHINES for how in ("on demand", "spot")]
    prices = [price / cpus for _, cpus, *both in MACHINES for price in both]
    said = ["A vCPU for an hour, list prices as read on 2026-11-29 in stored copies:"]
    said += [f"  {name:33} ${price:.4f}" for name, price in zip(columns, prices, strict=True)]
    said += ["", f"A crawl of {CRAWL_PAGES:,} pages like those of mixed-00000.warc.gz, dollars for CPUs alone:"]
    said += [f"  {'':24}{'':12}" + "".join(f"{name.split()[-1]:>20}" for name, *_ in MACHINES)]
    said += [f"  {'':24}{'core-hours':>12}" + f"{'on demand':>12}{'spot':>8}" * len(MACHINES)]
    for name, line in WORK:
        found = re.search(rf"^  {re.escape(line)} +[\d,]+ core-hours +([\d.]+) ms a page$", saved, re.MULTILINE)
        assert found, line
        hours = float(found[1]) * CRAWL_PAGES / 3.6e6
        dollars = "".join(f"{hours * price:{12 - 4 * (n % 2)},.0f}" for n, price in enumerate(prices))
        said.append(f"  {name:24}{hours:12,.0f}{dollars}")
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="Save the figures for docs/cluster.md.")
    said = "\n".join(costs())
    given = parser.parse_args()
    print(said)
    if given.save:
        (FIGURES / "costs.txt").write_text(f"{said}\n")


if __name__ == "__main__":
    main()
