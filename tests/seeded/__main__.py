"""Show that each seeded bug is caught, and by which layer: `python -m tests.seeded [NAME…]`.

Layers run on a temporary copy of the sources that has the bug, the cheapest first, until one fails.
In the end what failed is run once more without any bug, where it must pass. Exits 1 if a bug is
missed, if a patch doesn't apply, or if what caught a bug fails without it.
"""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from .layers import Layer, again, layers
from .patches import DoesNotApply, Patch, apply, copy_sources, patches


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one bug: which layers caught it, and by what."""

    patch: Patch
    caught: dict[str, str]
    seconds: float
    misfit: str | None = None

    @property
    def is_caught(self) -> bool:
        """Whether the patch applied, and a layer failed."""
        return bool(self.caught) and self.misfit is None


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.seeded", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the bugs; by default all")
    parser.add_argument("--all-layers", action="store_true", help="don't stop at the first failure")
    parser.add_argument("--layer", action="append", help="run only this one; may be repeated")
    parser.add_argument("--seeds", type=int, default=60, help="seeds of the simulator")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="bugs at a time")
    options = parser.parse_args(arguments)
    run = [
        layer for layer in layers(options.seeds) if not options.layer or layer.name in options.layer
    ]
    try:
        bugs = patches(options.names)
    except KeyError as unknown:
        parser.error(f"there is no seeded bug {unknown}")
    began = time.monotonic()
    looking = partial(look, run=run, to_the_end=options.all_layers)
    findings: list[Finding] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for finding in pool.map(looking, bugs):
            findings.append(finding)
            print(told(finding), flush=True)
    alarms = false_alarms(findings)
    for alarm in alarms:
        print(f"FALSE ALARM: without any bug, {alarm} fails too")
    by_layer: Counter[str] = Counter()
    for finding in findings:
        by_layer.update(list(finding.caught))
    print(
        f"{len(findings)} seeded bugs, {sum(one.is_caught for one in findings)} caught ("
        + ", ".join(f"{layer.name} {by_layer[layer.name]}" for layer in run)
        + f"), {time.monotonic() - began:.0f} s"
    )
    return 0 if all(one.is_caught for one in findings) and not alarms else 1


def look(patch: Patch, *, run: list[Layer], to_the_end: bool) -> Finding:
    """Run the layers on a copy that has the bug, until one fails or `to_the_end`."""
    began = time.monotonic()
    caught: dict[str, str] = {}
    with TemporaryDirectory(prefix="seeded-") as name:
        folder = Path(name)
        copy_sources(folder)
        try:
            apply(patch, folder)
        except DoesNotApply as misfit:
            return Finding(patch, {}, time.monotonic() - began, str(misfit))
        for layer in run:
            fault = layer.run(folder, patch)
            if fault is not None:
                caught[layer.name] = fault
                if not to_the_end:
                    break
    return Finding(patch, caught, time.monotonic() - began)


def told(finding: Finding) -> str:
    """Say in one line what became of a bug."""
    if finding.misfit is not None:
        verdict = f"DOES NOT APPLY: {finding.misfit.splitlines()[0]}"
    elif not finding.caught:
        verdict = f"MISSED: {finding.patch.about}"
    else:
        found = ", ".join(f"{layer}: {fault}" for layer, fault in finding.caught.items())
        verdict = f"caught by {found}"
    return f"{finding.patch.name:30} {verdict} ({finding.seconds:.1f} s)"


def false_alarms(findings: list[Finding]) -> list[str]:
    """Run what failed once more, without any bug; returns what fails there too."""
    faults = {fault for finding in findings for fault in finding.caught.values()}
    with TemporaryDirectory(prefix="seeded-") as name:
        copy_sources(Path(name))
        return again(sorted(faults), Path(name))


if __name__ == "__main__":
    sys.exit(main())
