"""What the docs copy from the code: diagrams and tables of states, settings, the origin's table.

`python -m tests.pages` writes them anew; `tests/test_pages.py` fails when they differ. In a page
they stand between two comments, `<!-- begin: NAME -->` and `<!-- end: NAME -->`.
"""

import enum
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from gapless.core.closing import Endings
from gapless.core.config import Config, check_setting
from gapless.core.errors import ConfigError
from gapless.core.states import LINK, SESSION, SLOT, State, Trigger

from .diagrams import Arrow, svg
from .origin import TABLE as ORIGIN
from .phases import LANES, Step

TOPICS = Path(__file__).parents[1] / "docs" / "topics"
COMMAND = "PYTHONPATH=core:transports:adapters python -m tests.pages"
REGION = re.compile(r"(<!-- begin: ([\w-]+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)
PAGES = ("state-machine.md", "config.md", "service.md")

Machine = Mapping[enum.Enum, Mapping[enum.Enum, enum.Enum]]
"""By state, by trigger: where it leads."""


def machine(table: Mapping[tuple[State, Trigger], State]) -> Machine:
    """A table of `states.py`, whatever its enums: every state is there, with or without a way."""
    made: dict[enum.Enum, dict[enum.Enum, enum.Enum]] = {}
    for state in type(next(iter(table))[0]):
        made[state] = {by: target for (source, by), target in table.items() if source is state}
    return made


TABLES: Mapping[str, Machine] = {
    "session": machine(SESSION),
    "link": machine(LINK),
    "slot": machine(SLOT),
}
PROFILES = ("production", "development", "high_performance")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Spell a Markdown table; the first row is its head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def triggers(of: Machine) -> list[enum.Enum]:
    """All triggers of a machine, in their own order."""
    return list(type(next(by for ways in of.values() for by in ways)))


def transitions(of: Machine) -> str:
    """A row for each state, a column for each trigger; empty where the pair can't happen."""
    rows = [["", *(f"`{by.value}`" for by in triggers(of))]]
    for source, ways in of.items():
        cells = [str(ways[by].value) if by in ways else "" for by in triggers(of)]
        rows.append([f"`{source.value}`", *cells])
    return table(rows)


def drawn(name: str, of: Machine) -> str:
    """The SVG of a machine."""
    arrows = [
        Arrow(source.value, by.value, target.value)
        for source, ways in of.items()
        for by, target in ways.items()
    ]
    return svg(name, [state.value for state in of], arrows)


def diagram(name: str) -> str:
    """The SVG of a machine, or of a lane's phases."""
    if name in TABLES:
        return drawn(name, TABLES[name])
    found = LANES[name]
    states = [one.value for one in type(found[0].source)]
    return svg(name, states, [Arrow(s.source.value, s.words, s.target.value) for s in found])


def steps(found: Sequence[Step]) -> str:
    """The steps of a lane, in the order of its phases."""
    order = list(type(found[0].source))
    ordered = sorted(found, key=lambda step: order.index(step.source))
    rows = [["from", "when", "to"]]
    rows += [[f"`{s.source.value}`", s.words, f"`{s.target.value}`"] for s in ordered]
    return table(rows)


def meanings() -> dict[str, str]:
    """What `Config` says of each field, with its unit."""
    said: dict[str, str] = {}
    text = (Config.__doc__ or "").split("Attributes:\n", 1)[1]
    for names, words in re.findall(r"^ {8}([\w, ]+): (.*(?:\n {12}.*)*)", text, re.MULTILINE):
        for name in names.split(", "):
            said[name] = re.sub(r"\s+", " ", words).rstrip(".")
    return said


def spelled(value: object) -> str:
    """A setting as a page shows it."""
    if value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, Endings):
        return "[a table](sessions.md)"
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def allowed(name: str) -> str:
    """The range of a setting, as its error says it."""
    try:
        check_setting(name, "?")
    except ConfigError as error:
        words = str(error).split("; ", 1)[1].removeprefix("it must be ")
    else:
        raise AssertionError(f"Config.{name} takes anything")
    try:
        check_setting(name, None)
    except ConfigError:
        return words
    return f"{words}, or None"


def settings() -> str:
    """Every setting: what it is, its range, the production values."""
    client, hub, said = Config.production(), Config.production("hub"), meanings()
    rows = [["setting", "what it is", "range", "client", "hub"]]
    for one in fields(Config):
        values = [spelled(getattr(config, one.name)) for config in (client, hub)]
        rows.append([f"`{one.name}`", said[one.name], allowed(one.name), *values])
    return table(rows)


def profiles() -> str:
    """The settings in which profiles differ, all profiles of both roles."""
    made = {
        f"{role}, {name.replace('_', ' ')}": getattr(Config, name)(role)
        for role in ("client", "hub")
        for name in PROFILES
    }
    rows = [["", *made]]
    for one in fields(Config):
        values = [spelled(getattr(config, one.name)) for config in made.values()]
        if len(set(values)) > 1:
            rows.append([f"`{one.name}`", *values])
    return table(rows)


def origin() -> str:
    """Each fact of the origin, what stands for it, and the first of its tests."""
    rows = [["", "the origin", "here", "shown by"]]
    rows += [[row.section, row.fact, row.here, f"`{row.tests[0]}`"] for row in ORIGIN]
    return table(rows)


def region(name: str) -> str:
    """What stands between the comments of that name."""
    if name == "origin":
        return origin()
    if name == "settings":
        return settings()
    if name == "profiles":
        return profiles()
    if name in TABLES:
        return transitions(TABLES[name])
    return steps(LANES[name])


def expected() -> Iterator[tuple[Path, str]]:
    """Every file that is made here, or in part, as it should be."""
    for name in (*TABLES, *LANES):
        yield TOPICS / "diagrams" / f"{name}.svg", diagram(name)
    for page in PAGES:
        path = TOPICS / page
        text = path.read_text(encoding="utf-8")
        yield path, REGION.sub(lambda found: found[1] + region(found[2]) + found[3], text)


def stale() -> list[Path]:
    """The files that differ from the code."""
    return [
        path
        for path, text in expected()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write what differs, and say so."""
    for path in stale():
        path.write_text(dict(expected())[path], encoding="utf-8")
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
