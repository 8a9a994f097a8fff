"""The docs say what the code says: states and phases, settings, times."""

import ast
import enum
import re
from collections.abc import Iterator
from dataclasses import fields
from inspect import getsource, signature
from types import ModuleType
from xml.etree import ElementTree

import pytest

from gapless.core import (
    backoff,
    budget,
    client,
    courier,
    intake,
    monitor,
    outbox,
    pool,
    reader,
    relief,
)
from gapless.core import subscription as reading
from gapless.core.config import Config
from gapless.core.reorder import GapPolicy
from gapless.core.states import LINK, LinkState, LinkTrigger
from gapless.testing import STORM, Pair
from gapless.transports.limits import Limits

from .pages import (
    COMMAND,
    TABLES,
    TOPICS,
    diagram,
    drawn,
    machine,
    meanings,
    spelled,
    stale,
    transitions,
    triggers,
)
from .phases import LANES

LANE_CLASSES: dict[str, tuple[ModuleType, type]] = {
    "subscription": (reading, reading.Subscription),
    "outbox": (outbox, outbox.Outbox),
    "reader": (reader, reader.Reader),
    "intake": (intake, intake.Intake),
}


def page(name: str) -> str:
    return (TOPICS / name).read_text(encoding="utf-8")


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row whose first cell is code."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def test_what_is_made_from_the_code_is_what_the_code_says() -> None:
    names = [path.name for path in stale()]
    assert not names, f"{names} differ from the code; write them anew with: {COMMAND}"


def test_a_transition_more_shows_in_table_and_diagram() -> None:
    more = machine({**LINK, (LinkState.ENDED, LinkTrigger.OPEN): LinkState.OPENING})
    assert transitions(more) != transitions(TABLES["link"])
    assert drawn("link", more) != diagram("link")


@pytest.mark.parametrize("name", [*TABLES, *LANES])
def test_a_diagram_is_an_image_and_names_everything(name: str) -> None:
    words = set(ElementTree.fromstring(diagram(name)).itertext())
    if name in TABLES:
        shown = {part.strip("\u21bb ") for text in words for part in text.split(",")}
        assert {state.value for state in TABLES[name]} <= shown
        assert {by.value for ways in TABLES[name].values() for by in ways} <= shown
    else:
        text = "\n".join(words)
        assert {phase.value for phase in type(LANES[name][0].source)} <= words
        assert not [step for step in LANES[name] if step.words not in text]


@pytest.mark.parametrize("name", [*TABLES, *LANES])
def test_the_page_says_what_each_state_phase_and_trigger_means(name: str) -> None:
    section = re.split(r"^##+ ", page("state-machine.md"), flags=re.MULTILINE)
    text = next(one for one in section if f"(diagrams/{name}.svg)" in one)
    text = text.split("<!-- begin", 1)[0]
    if name in TABLES:
        named = [*TABLES[name], *triggers(TABLES[name])]
    else:
        named = [*type(LANES[name][0].source)]
    said = [cells[0].strip("`") for cells in rows(text)]
    assert said == [member.value for member in named]


def assignments(lane: str) -> set[tuple[str, str]]:
    """Where the source sets the phase of a lane, and to what: (method, name of the phase)."""
    module, of = LANE_CLASSES[lane]
    tree = ast.parse(getsource(module))
    tables = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: set[tuple[str, str]] = set()
    bodies = next(c for c in tree.body if isinstance(c, ast.ClassDef) and c.name == of.__name__)
    functions = [f for f in bodies.body if isinstance(f, ast.FunctionDef)]
    if lane == "subscription":
        # The one place outside: the session's end.
        functions += [
            node
            for node in ast.walk(ast.parse(getsource(client)))
            if isinstance(node, ast.FunctionDef)
        ]
    for function in functions:
        for value in _phases_set(function):
            if isinstance(value, ast.Subscript) and isinstance(value.value, ast.Name):
                table = tables[value.value.id]
                assert isinstance(table, ast.Dict)
                value = ast.Tuple(table.values)
            found |= {
                (function.name, one.attr)
                for one in ast.walk(value)
                if isinstance(one, ast.Attribute) and one.attr.isupper()
            }
    return {(method, phase) for method, phase in found if method != "__init__"}


def _phases_set(function: ast.FunctionDef) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign):
            continue
        target, value = node.targets[0], node.value
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(target.elts, value.elts, strict=True))
        for one, expression in pairs:
            if isinstance(one, ast.Attribute) and one.attr == "phase":
                yield expression


@pytest.mark.parametrize("lane", LANES)
def test_the_steps_of_a_lane_are_the_places_where_its_phase_is_set(lane: str) -> None:
    assert assignments(lane) == {(step.by, step.target.name) for step in LANES[lane]}, (
        f"tests/phases.py differs from the source; mend it, then: {COMMAND}"
    )


def test_in_a_storm_no_lane_takes_a_step_that_is_not_on_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: set[tuple[str, enum.Enum, enum.Enum]] = set()

    def watch(lane: str, of: type) -> None:
        def note(self: object, name: str, value: object) -> None:
            before = self.__dict__.get("phase")
            if name == "phase" and isinstance(before, enum.Enum) and before is not value:
                assert isinstance(value, enum.Enum)
                seen.add((lane, before, value))
            object.__setattr__(self, name, value)

        monkeypatch.setattr(of, "__setattr__", note)

    for lane, (_, of) in LANE_CLASSES.items():
        watch(lane, of)
    pair = Pair(seed=3, weather=STORM)
    messages = pair.peer.subscribe("campaign/42", "earliest")
    pair.peer.start()
    for number in range(100):
        pair.publish("campaign/42", b"event %d" % number)
        pair.peer.publish("commands", b"step %d" % number)
    assert pair.run_until(lambda: pair.client.is_settled and messages.received is not None, 3600)
    pair.peer.unsubscribe(messages)
    pair.run(1)

    known = {(lane, step.source, step.target) for lane in LANES for step in LANES[lane]}
    assert seen <= known
    assert {lane for lane, _, _ in seen} == set(LANES)


TIMES: dict[str, object] = {
    "Limits": Limits(),
    "GapPolicy": GapPolicy(),
    "budget.Limits": budget.Limits(),
    "backoff": backoff,
    "courier": courier,
    "relief": relief,
    "outbox": outbox,
    "subscription": reading,
}


def default(name: str) -> object:
    """A time's default, by the name under which the page has it."""
    owner, _, attribute = name.rpartition(".")
    if owner in ("Pool", "Monitor"):
        made = pool.Pool if owner == "Pool" else monitor.Monitor
        return signature(made).parameters[attribute].default
    return getattr(TIMES[owner] if owner else Config(), attribute)


def test_every_time_on_the_page_is_the_default() -> None:
    told = {cells[0].strip("`"): cells[1] for cells in rows(page("time.md"))}
    assert told == {name: spelled(default(name)) for name in told}
    seconds = {name for name, words in meanings().items() if words.startswith("seconds")}
    assert seconds <= set(told), "a setting in seconds is missing on the page"


def test_the_page_of_settings_says_once_which_end_uses_each() -> None:
    table = page("config.md").split("Which end uses what:", 1)[1].split("\n\nNothing", 1)[0]
    named = [name for cells in rows(table) for name in re.findall(r"`(\w+)`", cells[0])]
    assert sorted(named) == sorted(field.name for field in fields(Config))
