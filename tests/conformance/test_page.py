"""The docs' table is what the suite finds while it is green; `.ci/run` makes it from results."""

from .cells import all_cells, quick_cells
from .registry import CASES, FEATURES
from .results import COMMAND, PAGE, every_name, expected, features
from .wires import MEMORY, WIRES


def test_the_docs_say_which_cases_hold_on_which_runtime() -> None:
    assert PAGE.read_text(encoding="utf-8") == expected(every_name()), f"run {COMMAND}"


def test_a_case_that_does_not_hold_is_seen_in_the_table() -> None:
    broken = next(cell.name for cell in all_cells() if cell.case.feature == "drain")
    whole = sum(case.feature == "drain" for case in CASES) * len(WIRES)
    row = next(row for row in features(every_name() - {broken}).splitlines() if "drain" in row)
    assert row.startswith(f"| drain | {whole - 1} of {whole} | ✓ {whole} |")


def test_every_feature_has_cases_and_every_case_says_which_promise_it_holds() -> None:
    assert {case.feature for case in CASES} == set(FEATURES)
    assert [case.name for case in CASES if not case.play.__doc__] == []


def test_the_default_run_has_every_case_on_every_runtime_and_every_wire_for_the_main_ones() -> None:
    quick = list(quick_cells())
    assert {(c.case.name, c.runtime.name) for c in quick} == {
        (c.case.name, c.runtime.name) for c in all_cells()
    }
    assert {c.wire for c in quick if not c.case.is_main} == {MEMORY}
    assert {c.wire for c in quick if c.case.is_main} == set(WIRES)
    assert {c.case.feature for c in quick if c.case.is_main} >= set(FEATURES[:17])
