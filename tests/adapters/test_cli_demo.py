"""The demo's parts: what it sends, how it counts, and when its verdict is good."""

import hashlib
import random
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.adapters.cli.demo.numbering import Numbering, size
from gapless.adapters.cli.demo.source import Measure, Source, library_sources, measure
from gapless.adapters.cli.demo.verdict import Findings
from gapless.adapters.cli.outcome import CommandError


@given(
    batches=st.lists(st.lists(st.integers(1, 20), max_size=8), max_size=8), more=st.integers(0, 5)
)
def test_numbers_are_judged_as_a_set_would(batches: list[list[int]], more: int) -> None:
    numbering = Numbering()
    seen: set[int] = set()
    duplicates = late = 0
    for number in [number for batch in batches for number in batch]:
        duplicates += number in seen
        late += number not in seen and number < max(seen, default=0)
        seen.add(number)

    for batch in batches:
        numbering.take(batch)

    last = max(seen, default=0) + more
    missing = {n for first, end in numbering.missing(last) for n in range(first, end + 1)}
    assert missing == set(range(1, last + 1)) - seen
    assert (numbering.duplicates, numbering.out_of_order) == (duplicates, late)
    assert numbering.received == sum(map(len, batches))
    assert size(numbering.missing(last)) == len(missing)


def test_a_file_is_sent_once_and_cut_short_only_if_asked(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"a\n\n\xff\n")
    two.write_bytes(b"b\nlast")
    files = (str(one), str(two))

    assert list(Source(files, None).lines()) == [b"a", b"", b"\xff", b"b", b"last"]
    assert list(Source(files, 2).lines()) == [b"a", b""]
    assert list(Source(files, 99).lines()) == [b"a", b"", b"\xff", b"b", b"last"]


def test_without_a_file_the_library_is_sent_again_and_again_in_the_same_order() -> None:
    library = library_sources()
    files = [path.read_bytes() for path in library]
    length = sum(data.count(b"\n") + (not data.endswith(b"\n")) for data in files)
    first, last = (data.split(b"\n")[:-1] for data in (files[0], files[-1]))

    lines = islice(Source((), None).lines(), length - len(last), length + len(first))

    assert list(library) == sorted(library)
    assert list(lines) == last + first


def test_a_source_is_measured_as_a_file_that_ends_in_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = b"".join(random.Random(1).randbytes(50).replace(b"\n", b"") + b"\n" for _ in range(90))
    path.write_bytes(data)

    measured = measure(Source((str(path),), None), 100)

    assert measured == Measure(90, len(data) - 90, hashlib.sha256(data).hexdigest())


def test_what_cannot_be_sent_is_said_before_anything_starts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    with pytest.raises(CommandError, match="no lines"):
        measure(Source((str(path),), None), 100)
    path.write_bytes(b"a\n" + b"x" * 101 + b"\n")
    with pytest.raises(CommandError, match="line 2 is 101 bytes"):
        measure(Source((str(path),), None), 100)
    with pytest.raises(CommandError, match="no such file"):
        measure(Source((str(tmp_path / "none"),), None), 100)


def findings() -> Findings:
    """A run in which all was well."""
    found = Findings(Measure(10, 100, "digest"), seed=1, cuts_asked=2, output="out")
    found.sent = found.received = 10
    found.cuts = 2
    found.lost_ranges = []
    found.sha256_received = "digest"
    found.began, found.ended = 5.0, 7.0
    return found


def test_the_verdict_is_good_if_everything_is() -> None:
    found = findings()

    assert list(found.faults()) == []
    assert found.as_json()["ok"] is True
    assert (found.seconds, found.rate) == (2.0, 5.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sent", 9),
        ("lost_ranges", [(3, 4)]),
        ("duplicates_delivered", 1),
        ("out_of_order", 1),
        ("cuts", 1),
        ("cuts", 3),
        ("sha256_received", "other"),
        ("fault", "not done"),
    ],
)
def test_the_verdict_is_bad_if_one_thing_is(field: str, value: object) -> None:
    found = findings()

    setattr(found, field, value)

    assert len(list(found.faults())) == 1
    assert found.as_json()["ok"] is False


def test_a_run_that_ended_early_has_lost_what_was_sent_and_not_received() -> None:
    found = findings()
    found.lost_ranges, found.received, found.ended = None, 4, None

    assert found.as_json()["lost_ranges"] == [(5, 10)]
    assert found.as_json()["messages_per_second"] == 0


def test_the_object_for_machines_has_all_that_is_promised() -> None:
    promised = (
        "sent received lost lost_ranges duplicates_delivered out_of_order cuts resumes"
        " duplicates_dropped sha256_sent sha256_received seconds messages_per_second seed"
        " transport runtime store version"
    )

    assert set(promised.split()) <= set(findings().as_json())
