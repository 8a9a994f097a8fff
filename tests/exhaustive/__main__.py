"""Search all that can happen in small worlds: `python -m tests.exhaustive`.

Without more it runs what the landing gate runs. What breaks is told by the shortest way there, and
the command that tells the whole story. Exits 1 if anything does.
"""

import argparse
import gc
import sys

from gapless.testing import BrokenPromise

from .scenarios import FULL, GATE, SMALL, Scenario
from .search import Report, Search
from .world import World


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.exhaustive", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios; by default the gate's")
    parser.add_argument("--small", action="store_true", help="those that pytest runs")
    parser.add_argument("--full", action="store_true", help="all, the large ones too")
    parser.add_argument("--most", type=int, help="states of a scenario to stop after")
    parser.add_argument("--story", nargs="+", metavar="ACTION", help="do these, and tell the story")
    options = parser.parse_args(arguments)
    known = {scenario.name: scenario for scenario in FULL}
    unknown = [name for name in options.names if name not in known]
    if unknown or (options.story and len(options.names) != 1):
        parser.error(f"name scenarios that there are, one with --story: {', '.join(known)}")
    chosen: tuple[Scenario, ...] = SMALL if options.small else FULL if options.full else GATE
    if options.names:
        chosen = tuple(known[name] for name in options.names)
    if options.story:
        return tell(chosen[0], options.story)
    return search(chosen, options.most)


def search(scenarios: tuple[Scenario, ...], most: int | None = None) -> int:
    """Search them one after the other; returns the exit code."""
    # A world that is done with is a circle, and all of them are young: look for old ones seldom.
    gc.set_threshold(50_000, 20, 20)
    reports: list[Report] = []
    for scenario in scenarios:
        report = Search(scenario, most=most).run()
        reports.append(report)
        print(told(report), flush=True)
    broken = sum(report.fault is not None for report in reports)
    cut = sum(not report.is_complete and report.fault is None for report in reports)
    print(
        f"{len(reports)} scenarios, {sum(one.states for one in reports):,} states, "
        f"{sum(one.transitions for one in reports):,} transitions, "
        f"{sum(one.ends for one in reports):,} ends, all settled, "
        f"deepest {max(one.depth for one in reports)}, "
        f"{sum(one.seconds for one in reports):.0f} s, {broken} broken"
        + (f", {cut} not searched to the end" if cut else "")
    )
    return 1 if broken else 0


def told(report: Report) -> str:
    """Say what became of one scenario; of a broken one how to come to it."""
    name = report.scenario.name
    if report.fault is not None:
        actions = " ".join(report.story)
        return (
            f"broken: {name}: {report.fault}\n"
            f"    after {len(report.story)} actions: {actions}\n"
            f"    python -m tests.exhaustive {name} --story {actions}"
        )
    return (
        f"{name:24} {report.states:9,} states {report.transitions:9,} transitions "
        f"{report.ends:4} ends  {report.depth:3} deep {report.seconds:7.1f} s"
        + ("" if report.is_complete else "  NOT ALL")
    )


def tell(scenario: Scenario, actions: list[str]) -> int:
    """Do some actions and print all that happens; returns the exit code."""
    world = World(scenario)
    world.story = []
    try:
        for action in actions:
            if action not in world.actions():
                print(f"{action} can't happen here; what can: {' '.join(world.actions())}")
                return 2
            world.story.append(f"--- {action}")
            world.do(action)
        if not world.can_go_on and not world.is_settled():
            raise BrokenPromise("P4", "nothing can happen any more, and not all is settled")
    except Exception as error:
        print(*world.story, f"{type(error).__name__}: {error}", sep="\n")
        return 1
    print(*world.story, "nothing broken", f"next: {' '.join(world.actions())}", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
