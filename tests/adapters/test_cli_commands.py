"""The commands as processes: what they write where, and how they exit."""

import json
import os
import pty
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gapless.adapters.cli.app import run_app
from tests.acceptance.tools import GAPLESS, environment, run, serving, started

ODD = b"first\n\n\xff\xfe\nlast without newline"
COMMANDS = ("demo", "serve", "publish", "subscribe", "proxy")


def url(port: int) -> str:
    return f"ws://127.0.0.1:{port}/"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app([command, "--help"]) == 0

    shown = capsys.readouterr().out
    assert f"Example: gapless {command}" in shown
    assert "until-eof" not in shown


def test_alone_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app([]) == 0

    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)
    assert "Example: gapless" in shown
    assert run("--version").stdout.decode().startswith("gapless ")


def test_without_the_extra_it_says_how_to_install_it() -> None:
    script = (
        "import sys; sys.modules['typer'] = None\nfrom gapless.adapters.cli import main\nmain()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env=environment(), check=False
    )

    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1
    assert "pip install 'gapless[cli]'" in done.stderr.decode()


def test_lines_come_back_identically() -> None:
    """Empty lines, lines that aren't UTF-8, and a last one without a newline are messages."""
    with serving() as (_, port):
        where = (url(port), "news")
        done = run("publish", *where, "--json", stdin=ODD)
        got = run("subscribe", *where, "--since", "earliest", "--count", "4")
        shown = run("subscribe", *where, "--since", "earliest", "--count", "4", "--json")

    result = json.loads(done.stdout)
    assert (done.returncode, result["sent"], result["accepted"]) == (0, 4, 4)
    assert (result["refused"], result["unknown"], result["unsent"]) == ([], [], [])
    assert " ".join(result) == (
        "channel sent accepted refused unknown unsent fault seconds version"
    )
    assert done.stderr == b""
    assert (got.returncode, got.stdout) == (0, ODD + b"\n")
    assert b"subscribed news at " in got.stderr
    *messages, summary = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [message["seq"] for message in messages] == [1, 2, 3, 4]
    assert [message.get("text") for message in messages] == ["first", "", None, ODD[-20:].decode()]
    assert messages[2]["base64"] == "//4="
    assert (summary["received"], summary["lost"]) == (4, [])
    assert " ".join(summary) == "channel received lost position fault version"


def test_ctrl_c_drains_and_exits_130_and_sigterm_0() -> None:
    with serving("--json") as (server, port):
        with started("subscribe", url(port), "news") as reader:
            reader.wait_for_line("subscribed news at ")
            reader.signal(signal.SIGINT)
            assert reader.wait() == 130
        with started("publish", url(port), "news", "--json") as publisher:
            publisher.feed(b"one\ntwo\n")
            got = run("subscribe", url(port), "news", "--since", "earliest", "--count", "2")
            assert got.stdout == b"one\ntwo\n"
            publisher.signal(signal.SIGINT)
            assert publisher.wait() == 130
            assert json.loads(publisher.lines[-1])["accepted"] == 2
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert " ".join(json.loads(server.lines[-1])) == "url sessions version"


def test_a_position_file_wins_over_since_and_is_private(tmp_path: Path) -> None:
    position = tmp_path / "position"
    with serving() as (_, port):
        run("publish", url(port), "news", stdin=b"1\n2\n3\n4\n")
        options = ("--since", "earliest", "--position-file", str(position), "--count", "2")
        one = run("subscribe", url(port), "news", *options)
        two = run("subscribe", url(port), "news", *options)

    assert (one.stdout, two.stdout) == (b"1\n2\n", b"3\n4\n")
    assert stat.S_IMODE(position.stat().st_mode) == 0o600


def test_a_closed_standard_output_is_no_traceback_and_moves_no_position(tmp_path: Path) -> None:
    position = tmp_path / "position"
    reading, writing = os.pipe()
    os.close(reading)
    with serving() as (_, port):
        run("publish", url(port), "news", stdin=b"1\n2\n")
        options = ("--since", "earliest", "--position-file", str(position))
        done = subprocess.run(
            [*GAPLESS, "subscribe", url(port), "news", *options],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=30,
            check=False,
        )
    os.close(writing)

    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert [line for line in lines if "subscribed" not in line] == [
        "gapless: standard output was closed before everything was written"
    ]
    assert json.loads(position.read_text())["position"].endswith(":0")


def test_what_was_lost_is_named_and_exits_1() -> None:
    with serving("--history", "2") as (_, port):
        run("publish", url(port), "news", stdin=b"1\n2\n3\n4\n")
        first = run("subscribe", url(port), "news", "--since", "earliest", "--count", "1", "--json")
        epoch = json.loads(first.stdout.splitlines()[0])["epoch"]
        done = run("subscribe", url(port), "news", "--since", f"{epoch}:1", "--count", "2")

    assert (done.returncode, done.stdout) == (1, b"3\n4\n")
    assert b"message 2 of channel 'news'" in done.stderr


def test_a_message_over_the_limit_stops_at_its_line() -> None:
    with serving() as (_, port):
        data = b"1\n2\n" + bytes(1_048_577) + b"\n4\n"
        done = run("publish", url(port), "news", "--json", stdin=data)
        result = json.loads(done.stdout)

    assert (done.returncode, result["accepted"]) == (1, 2)
    assert b"line 3 of standard input" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_misuse_is_one_line_and_one_object_for_machines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_app(["publish", "http://x/", "news", "--json"]) == 2

    written = capsys.readouterr()
    assert written.err.count("\n") == 1
    assert "ws://" in json.loads(written.out)["error"]


def test_on_a_terminal_messages_are_escaped_and_a_live_line_moves() -> None:
    with serving() as (_, port):
        run("publish", url(port), "news", stdin=b"\x1b[2Jhello\n")
        where = (url(port), "news", "--since", "earliest", "--count", "1")
        stdout, _ = on_terminal("stdout", "subscribe", *where)
        _, stderr = on_terminal("stderr", "publish", url(port), "news")
        quiet = run("publish", url(port), "news")

    assert b"\\x1b[2Jhello\r\n" in stdout
    assert b"messages accepted" in stderr
    assert b"\x1b[" in stderr
    assert quiet.stderr == b""


def on_terminal(stream: str, *arguments: str) -> tuple[bytes, bytes]:
    """Run a command with one of its streams on a terminal; returns what it wrote to both."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*GAPLESS, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs if stream == "stdout" else subprocess.PIPE,
        stderr=theirs if stream == "stderr" else subprocess.PIPE,
        env={**environment(), "TERM": "xterm"},
    )
    os.close(theirs)
    written = bytearray()
    try:
        while data := os.read(ours, 4096):
            written += data
    except OSError:  # a terminal's end of file
        pass
    os.close(ours)
    rest = process.communicate(timeout=30)
    other = rest[1] if stream == "stdout" else rest[0]
    assert process.returncode == 0
    return (bytes(written), other) if stream == "stdout" else (other, bytes(written))


def test_the_demo_is_three_processes_and_a_verdict(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.write_bytes(ODD * 500 + b"\n")
    done = run("demo", str(source), "--cuts", "3", "--seed", "5", "--output", str(output), "--json")
    found = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr.decode()
    assert output.read_bytes() == source.read_bytes()
    assert (found["cuts"], found["lost"], found["ok"]) == (3, 0, True)
    assert found["resumes"] >= 1
    assert found["sha256_sent"] == found["sha256_received"]
    assert b"seed 5" in done.stderr


def test_a_demo_for_people_has_a_live_line_a_table_and_a_verdict() -> None:
    options = ("--messages", "3000", "--cuts", "1", "--seed", "1")
    stdout, stderr = on_terminal("stderr", "demo", *options)

    assert stdout.decode().splitlines()[-1] == "OK: everything arrived once, in order, identical"
    assert b"cuts" in stdout and b"1 of 1" in stdout
    for part in (b" of 3,000 messages", b" cuts", b" resumes", b" duplicates dropped"):
        assert part in stderr


@pytest.mark.parametrize("arguments", [["gone"], ["."], ["-"], ["--output", "."]])
def test_a_demo_that_cannot_begin_still_gives_the_whole_object(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["demo", "--messages", "1", *arguments, "--json"]) == 2

    written = capsys.readouterr()
    found = json.loads(written.out)
    assert (found["ok"], found["sent"], found["output"]) == (False, 0, None)
    assert written.err.count("\n") == 1


def test_a_demo_takes_more_files_than_arguments_of_a_process_fit(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 200)
    path.write_bytes(b"line\n")
    done = run("demo", *[str(path)] * 700, "--cuts", "0", "--json")

    assert (done.returncode, json.loads(done.stdout)["received"]) == (0, 700)


def test_a_demo_that_takes_too_long_fails_and_says_so(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"x\n" * 1000)
    many = ("--cuts", "100000", "--seed", "1", "--timeout", "1", "--json")

    done = run("demo", str(source), *many, "--output", str(tmp_path / "out"))

    assert done.returncode == 1
    assert "not done after 1 s" in json.loads(done.stdout)["faults"]
    assert b"FAILED" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_the_proxy_ends_with_one_object(number: signal.Signals, code: int) -> None:
    with serving() as (_, port):
        arguments = ("proxy", "0", f"127.0.0.1:{port}", "--cuts", "0", "--seed", "4", "--json")
        with started(*arguments) as proxy:
            line = proxy.wait_for_line("listening on ")
            way = int(line.split()[2].rstrip(",").rsplit(":", 1)[1])
            assert run("publish", url(way), "news", stdin=b"through\n").returncode == 0
            proxy.signal(number)
            assert proxy.wait() == code
            found = json.loads(proxy.lines[-1])

    assert (found["connections"], found["cuts"], found["seed"]) == (1, 0, 4)
    assert found["bytes_to_client"] > 0
    assert " ".join(found) == (
        "listen target seed connections cuts stalls bytes_to_client bytes_to_target seconds version"
    )
