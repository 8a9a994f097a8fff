"""The commands: what they write where, and how they exit."""

import json
import os
import pty
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.tools import GAPLESS, environment, run, serving, started

from .cli_support import Cli, Publish, cli, port, publish, url

__all__ = ["cli", "port", "publish"]  # fixtures

ODD = b"first\n\n\xff\xfe\nlast without newline"
COMMANDS = ("demo", "serve", "publish", "subscribe", "proxy")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str, cli: Cli) -> None:
    done = cli(command, "--help")

    assert done.code == 0
    assert f"Example: gapless {command}" in done.stdout.decode()
    assert b"until-eof" not in done.stdout


def test_alone_it_says_what_there_is(cli: Cli) -> None:
    done = cli()

    assert done.code == 0
    assert all(command in done.stdout.decode() for command in COMMANDS)
    assert b"Example: gapless" in done.stdout


def test_as_a_process_it_is_the_same() -> None:
    done = run("--version")

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"gapless ")


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


def test_lines_come_back_identically(port: int, cli: Cli) -> None:
    """Empty lines, lines that aren't UTF-8, and a last one without a newline are messages."""
    where = (url(port), "odd")
    done = run("publish", *where, "--json", stdin=ODD)
    got = cli("subscribe", *where, "--since", "earliest", "--count", "4")
    shown = cli("subscribe", *where, "--since", "earliest", "--count", "4", "--json")

    result = json.loads(done.stdout)
    assert (done.returncode, result["sent"], result["accepted"]) == (0, 4, 4)
    assert (result["refused"], result["unknown"], result["unsent"]) == ([], [], [])
    assert " ".join(result) == (
        "channel sent accepted refused unknown unsent fault seconds version"
    )
    assert done.stderr == b""
    assert (got.code, got.stdout) == (0, ODD + b"\n")
    assert b"subscribed odd at " in got.stderr
    *messages, summary = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [message["seq"] for message in messages] == [1, 2, 3, 4]
    assert [message.get("text") for message in messages] == ["first", "", None, ODD[-20:].decode()]
    assert messages[2]["base64"] == "//4="
    assert (summary["received"], summary["lost"]) == (4, [])
    assert " ".join(summary) == "channel received lost position fault version"


def test_ctrl_c_drains_and_exits_130_and_sigterm_0(cli: Cli) -> None:
    with serving("--json") as (server, port):
        with started("subscribe", url(port), "news") as reader:
            reader.wait_for_line("subscribed news at ")
            reader.signal(signal.SIGINT)
            assert reader.wait() == 130
        with started("publish", url(port), "news", "--json") as publisher:
            publisher.feed(b"one\ntwo\n")
            got = cli("subscribe", url(port), "news", "--since", "earliest", "--count", "2")
            assert got.stdout == b"one\ntwo\n"
            publisher.signal(signal.SIGINT)
            assert publisher.wait() == 130
            assert json.loads(publisher.lines[-1])["accepted"] == 2
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert " ".join(json.loads(server.lines[-1])) == "url sessions version"


def test_a_position_file_wins_over_since_and_is_private(
    tmp_path: Path, port: int, cli: Cli, publish: Publish
) -> None:
    position = tmp_path / "position"
    publish(port, "kept", b"1\n2\n3\n4\n")
    options = ("--since", "earliest", "--position-file", str(position), "--count", "2")
    one = cli("subscribe", url(port), "kept", *options)
    two = cli("subscribe", url(port), "kept", *options)

    assert (one.stdout, two.stdout) == (b"1\n2\n", b"3\n4\n")
    assert stat.S_IMODE(position.stat().st_mode) == 0o600


def test_a_closed_standard_output_is_no_traceback_and_moves_no_position(
    tmp_path: Path, port: int, publish: Publish
) -> None:
    position = tmp_path / "position"
    reading, writing = os.pipe()
    os.close(reading)
    publish(port, "unread", b"1\n2\n")
    options = ("--since", "earliest", "--position-file", str(position))
    done = subprocess.run(
        [*GAPLESS, "subscribe", url(port), "unread", *options],
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


def test_what_was_lost_is_named_and_exits_1(cli: Cli, publish: Publish) -> None:
    with serving("--history", "2") as (_, port):
        publish(port, "news", b"1\n2\n3\n4\n")
        first = cli("subscribe", url(port), "news", "--since", "earliest", "--count", "1", "--json")
        epoch = json.loads(first.stdout.splitlines()[0])["epoch"]
        done = cli("subscribe", url(port), "news", "--since", f"{epoch}:1", "--count", "2")

    assert (done.code, done.stdout) == (1, b"3\n4\n")
    assert b"message 2 of channel 'news'" in done.stderr


def test_a_message_over_the_limit_stops_at_its_line(tmp_path: Path, port: int, cli: Cli) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"1\n2\n" + bytes(1_048_577) + b"\n4\n")
    done = cli("publish", url(port), "large", str(path), "--json")

    assert (done.code, json.loads(done.stdout)["accepted"]) == (1, 2)
    assert f"line 3 of {path}" in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_misuse_is_one_line_and_one_object_for_machines(cli: Cli) -> None:
    done = cli("publish", "http://x/", "news", os.devnull, "--json")

    assert done.code == 2
    assert done.stderr.count(b"\n") == 1
    assert "ws://" in json.loads(done.stdout)["error"]


def test_on_a_terminal_messages_are_escaped(port: int, publish: Publish) -> None:
    publish(port, "escaped", b"\x1b[2Jhello\n")
    where = (url(port), "escaped", "--since", "earliest", "--count", "1")
    stdout, _ = on_terminal("stdout", "subscribe", *where)

    assert b"\\x1b[2Jhello\r\n" in stdout


def test_a_live_line_moves_on_a_terminal_and_none_in_a_pipe(port: int, cli: Cli) -> None:
    _, stderr = on_terminal("stderr", "publish", url(port), "nothing")
    quiet = cli("publish", url(port), "nothing", os.devnull)

    assert b"messages accepted" in stderr
    assert b"\x1b[" in stderr
    assert (quiet.code, quiet.stderr) == (0, b"")


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


def test_the_demo_is_three_processes_and_a_verdict(tmp_path: Path, cli: Cli) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.write_bytes(ODD * 500 + b"\n")
    done = cli("demo", str(source), "--cuts", "3", "--seed", "5", "--output", str(output), "--json")
    found = json.loads(done.stdout)

    assert done.code == 0, done.stderr.decode()
    assert output.read_bytes() == source.read_bytes()
    assert (found["cuts"], found["lost"], found["ok"]) == (3, 0, True)
    assert found["resumes"] >= 1
    assert found["sha256_sent"] == found["sha256_received"]
    assert b"seed 5" in done.stderr


def test_a_demo_for_people_has_a_live_line_a_table_and_a_verdict(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"line\n" * 3000)
    stdout, stderr = on_terminal("stderr", "demo", str(source), "--cuts", "1", "--seed", "1")

    assert stdout.decode().splitlines()[-1] == "OK: everything arrived once, in order, identical"
    assert "1 of 1" in next(line for line in stdout.decode().splitlines() if "cuts" in line)
    for part in (b" of 3,000 messages", b" cuts", b" resumes", b" duplicates dropped"):
        assert part in stderr


@pytest.mark.parametrize("arguments", [["gone"], ["."], ["-"], ["--output", ".", __file__]])
def test_a_demo_that_cannot_begin_still_gives_the_whole_object(
    arguments: list[str], cli: Cli
) -> None:
    done = cli("demo", "--messages", "1", *arguments, "--json")

    found = json.loads(done.stdout)
    assert (done.code, found["ok"], found["sent"], found["output"]) == (2, False, 0, None)
    assert done.stderr.count(b"\n") == 1


def test_a_demo_takes_more_files_than_arguments_of_a_process_fit(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / ("x" * 200)
    path.write_bytes(b"line\n")
    done = cli("demo", *[str(path)] * 700, "--cuts", "0", "--json")

    assert (done.code, json.loads(done.stdout)["received"]) == (0, 700)


def test_a_demo_that_takes_too_long_fails_and_says_so(tmp_path: Path, cli: Cli) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"x\n" * 1000)
    many = ("--cuts", "100000", "--seed", "1", "--timeout", "1", "--json")

    done = cli("demo", str(source), *many, "--output", str(tmp_path / "out"))

    assert done.code == 1
    assert "not done after 1 s" in json.loads(done.stdout)["faults"]
    assert b"FAILED" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_the_proxy_ends_with_one_object(
    number: signal.Signals, code: int, port: int, publish: Publish
) -> None:
    arguments = ("proxy", "0", f"127.0.0.1:{port}", "--cuts", "0", "--seed", "4", "--json")
    with started(*arguments) as proxy:
        line = proxy.wait_for_line("listening on ")
        publish(int(line.split()[2].rstrip(",").rsplit(":", 1)[1]), "through", b"through\n")
        proxy.signal(number)
        assert proxy.wait() == code
        found = json.loads(proxy.lines[-1])

    assert (found["connections"], found["cuts"], found["seed"]) == (1, 0, 4)
    assert found["bytes_to_client"] > 0
    assert " ".join(found) == (
        "listen target seed connections cuts stalls bytes_to_client bytes_to_target seconds version"
    )
