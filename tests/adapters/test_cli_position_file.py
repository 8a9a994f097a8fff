"""The position file: private, replaced as a whole, and its token shown only to its own server."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gapless.adapters.cli.outcome import CommandError
from gapless.adapters.cli.position_file import Bookmark, PositionFile
from gapless.core.position import Position
from tests.acceptance.tools import environment

URL, CHANNEL = "ws://127.0.0.1:8765/", "news"
HERE = Bookmark(URL, CHANNEL, Position("e", 7), "secret")


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "position"

    PositionFile(path).save(HERE)

    assert PositionFile(path).load(URL, CHANNEL) == HERE
    assert [one.name for one in tmp_path.iterdir()] == ["position"]


def test_no_file_is_no_bookmark(tmp_path: Path) -> None:
    assert PositionFile(tmp_path / "none").load(URL, CHANNEL) is None


def test_only_the_owner_may_read_it_even_if_it_was_there(tmp_path: Path) -> None:
    path = tmp_path / "position"
    path.touch(0o644)
    (tmp_path / "position.new").touch(0o666)

    PositionFile(path).save(HERE)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    path, target = tmp_path / "link", tmp_path / "target"
    path.symlink_to(target)

    PositionFile(path).save(HERE)

    assert path.is_symlink()
    assert PositionFile(target).load(URL, CHANNEL) == HERE


def test_a_link_laid_in_the_way_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "position.new").symlink_to(victim)

    with pytest.raises(CommandError):
        PositionFile(tmp_path / "position").save(HERE)

    assert victim.read_text() == "precious"


def test_the_token_is_kept_from_other_servers(tmp_path: Path) -> None:
    path = tmp_path / "position"
    PositionFile(path).save(HERE)

    bookmark = PositionFile(path).load("ws://elsewhere.example/", CHANNEL)

    assert bookmark == Bookmark("ws://elsewhere.example/", CHANNEL, Position("e", 7), None)


def test_the_token_is_not_in_its_repr() -> None:
    assert "secret" not in repr(HERE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "7",
        "[" * 50_000,
        json.dumps({"url": URL, "channel": CHANNEL, "position": 7, "token": None}),
        json.dumps({"url": URL, "channel": CHANNEL, "position": "e:7", "token": 7}),
        json.dumps({"url": URL, "channel": CHANNEL, "position": "e7", "token": None}),
        json.dumps({"url": URL, "channel": "other", "position": "e:7", "token": None}),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_as_misuse(text: str, tmp_path: Path) -> None:
    path = tmp_path / "position"
    path.write_text(text)

    with pytest.raises(CommandError, match="position file") as caught:
        PositionFile(path).load(URL, CHANNEL)

    assert caught.value.code == 2


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no such file or directory"):
        PositionFile(tmp_path / "none" / "position").save(HERE)


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "position"
    PositionFile(path).save(HERE)
    (tmp_path / "position.new").mkdir()

    with pytest.raises(CommandError, match="can't be written"):
        PositionFile(path).save(Bookmark(URL, CHANNEL, Position("e", 8), "newer"))

    assert PositionFile(path).load(URL, CHANNEL) == HERE


def test_what_a_killed_process_left_half_written_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "position"
    PositionFile(path).save(HERE)
    (tmp_path / "position.new").write_text('{"url": "ws')
    later = Bookmark(URL, CHANNEL, Position("e", 8), "newer")

    assert PositionFile(path).load(URL, CHANNEL) == HERE
    PositionFile(path).save(later)

    assert PositionFile(path).load(URL, CHANNEL) == later


def test_only_one_reads_by_it_at_a_time(tmp_path: Path) -> None:
    """Two would take the session from each other for ever."""
    path = tmp_path / "position"
    first, second = PositionFile(path), PositionFile(path)
    first.hold()
    first.save(HERE)
    with pytest.raises(CommandError, match="in use by another gapless; use one file for each"):
        second.hold()
    first.save(Bookmark(URL, CHANNEL, Position("e", 8), "newer"))
    with pytest.raises(CommandError, match="in use"):
        second.hold()
    first.release()
    second.hold()
    assert second.load(URL, CHANNEL) == Bookmark(URL, CHANNEL, Position("e", 8), "newer")
    second.release()


def test_a_file_that_can_not_be_opened_can_not_be_held(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(CommandError, match="can't be read: not a directory"):
        PositionFile(path / "position").hold()


SAVE_FOREVER = """
import itertools, sys
from pathlib import Path
from gapless.adapters.cli.position_file import Bookmark, PositionFile
from gapless.core.position import Position
file = PositionFile(Path(sys.argv[1]))
for seq in itertools.count(1):
    file.save(Bookmark("ws://x/", "news", Position("e", seq), "t" * (seq % 3 * 500)))
    print(seq, flush=True)
"""


def test_kill_9_at_any_moment_leaves_a_whole_file_that_is_not_behind(tmp_path: Path) -> None:
    """What was said to be saved is, and a save in progress shows whole or not at all."""
    for number in range(5):
        path = tmp_path / f"position{number}"
        with subprocess.Popen(
            [sys.executable, "-P", "-c", SAVE_FOREVER, str(path)],
            stdout=subprocess.PIPE,
            env=environment(),
        ) as process:
            assert process.stdout is not None
            for _ in range(1 + 17 * number):
                process.stdout.readline()
            process.kill()
            said = process.stdout.read().split(b"\n")[:-1]

        bookmark = PositionFile(path).load("ws://x/", "news")

        assert bookmark is not None
        assert bookmark.position.seq >= (int(said[-1]) if said else 1 + 17 * number)
