"""What holds for the whole suite: how much Hypothesis tries, and that nothing is skipped unseen.

`HYPOTHESIS_PROFILE` chooses how much: `default` (50 examples, always the same), `ci` (300, always
the same), `long` (5,000, fresh ones each time; a failure prints how to reproduce it) or `seeded`
(50, always the same, none made smaller: for bugs that are known).

With `CI=true` a test that is skipped, or fails as expected, for a reason that isn't in
`allowed_skips.txt` has failed.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile("default", derandomize=True, max_examples=50, deadline=None)
settings.register_profile("ci", derandomize=True, max_examples=300, deadline=None)
settings.register_profile("long", max_examples=5_000, deadline=None, print_blob=True)
settings.register_profile(
    "seeded",
    derandomize=True,
    max_examples=50,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    # mutmut runs a test many times in one process
    suppress_health_check=[HealthCheck.differing_executors],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

_ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped_unseen(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped_unseen(report)
    return report


def _fail_if_skipped_unseen(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or os.environ.get("CI") != "true":
        return
    reason = _reason(report)
    if reason not in _allowed_reasons():
        report.outcome = "failed"
        report.longrepr = f"skipped, and tests/allowed_skips.txt doesn't allow it: {reason}"
        if isinstance(report, pytest.TestReport) and hasattr(report, "wasxfail"):
            del report.wasxfail


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The words given to `skip` or `xfail`."""
    expected = getattr(report, "wasxfail", None)
    if isinstance(expected, str):
        return expected.removeprefix("reason: ")
    words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return words.removeprefix("Skipped: ")


def _allowed_reasons() -> set[str]:
    lines = _ALLOWED_SKIPS.read_text(encoding="utf-8").splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}
