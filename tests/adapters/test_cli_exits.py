"""How the commands end: what they finish first, the exit code, and one object for machines."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from gapless.adapters.cli.app import run_app
from gapless.adapters.cli.outcome import FAILED, INTERRUPTED, OK
from gapless.adapters.cli.running import Stop, Stopped, run, writing_out
from gapless.adapters.cli.serve import ServeOptions, run_serve
from tests.acceptance.tools import GAPLESS, Command, environment, serving, started, wait_until

from .cli_support import Cli, Publish, cli, port, publish, url

__all__ = ["cli", "port", "publish"]  # fixtures

SUBSCRIBED = "subscribed news at "


def last_object(command: Command) -> dict[str, object]:
    """The last line that could be one is the object; its being whole is part of what is tested."""
    found: dict[str, object] = json.loads(next(x for x in command.lines if x.startswith("{")))
    return found


@contextlib.contextmanager
def silent_server() -> Generator[socket.socket]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


# --- when a stop counts as success


@pytest.mark.parametrize(
    ("number", "code", "unfinished"),
    [(signal.SIGINT, INTERRUPTED, INTERRUPTED), (signal.SIGTERM, OK, FAILED)],
)
def test_a_stop_is_success_only_for_work_without_end(
    number: signal.Signals, code: int, unfinished: int
) -> None:
    stops: list[Stop] = []

    async def command(stop: Stop) -> int:
        stops.append(stop)
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped):
            await stop.interrupt(stop.wait())
        return stop.code

    assert run(command) == code
    assert stops[0].unfinished_code == unfinished


def test_what_is_stopped_already_does_not_begin() -> None:
    async def command(stop: Stop) -> int:
        stop.handle_signal(signal.SIGINT)
        with pytest.raises(Stopped):
            await stop.interrupt(stop.wait())
        return OK

    assert run(command) == OK


def test_a_cancellation_from_elsewhere_is_no_stop() -> None:
    async def command(stop: Stop) -> int:
        task = asyncio.create_task(stop.interrupt(asyncio.Event().wait()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return stop.code

    assert run(command) == OK


def test_other_faults_of_the_system_are_not_blamed_on_standard_output() -> None:
    with pytest.raises(FileNotFoundError), writing_out():
        raise FileNotFoundError(2, "no such file")


# --- draining


def test_a_server_that_is_stopped_drains_first(publish: Publish) -> None:
    """A reader that is behind when ctrl-C comes still gets everything that was accepted."""
    lines = b"".join(b"%d %s\n" % (number, b"x" * 1000) for number in range(900))
    with serving("--patience", "120") as (server, port):
        where = ("subscribe", url(port), "news", "--since", "earliest", "--count", "900")
        reader = subprocess.Popen(
            [*GAPLESS, *where],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        assert reader.stderr is not None
        assert SUBSCRIBED in reader.stderr.readline().decode()
        publish(port, "news", lines)
        server.signal(signal.SIGINT)  # the reader's output is full: nobody has read it yet
        wait_until(lambda: not is_listening(port), "the end of listening")
        got, _ = reader.communicate(timeout=30)
        assert server.wait() == 130

    assert (reader.returncode, got) == (0, lines)


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_second_signal_ends_a_drain_at_once(cli: Cli) -> None:
    with serving() as (server, port), started("publish", url(port), "news") as publisher:
        publisher.feed(b"one\n")
        got = cli("subscribe", url(port), "news", "--since", "earliest", "--count", "1")
        assert got.stdout == b"one\n"
        server.signal(signal.SIGSTOP)
        publisher.feed(b"never accepted\n")
        publisher.signal(signal.SIGINT)
        publisher.signal(signal.SIGTERM)  # another one: two of a kind may count as one

        assert publisher.wait(5) == 130


# --- stopped before the end


def test_a_publisher_or_a_counting_reader_that_is_terminated_has_not_done_its_work(
    port: int,
) -> None:
    with started("publish", url(port), "news", "--json") as publisher:
        publisher.feed(b"one\n")
        counting = ("subscribe", url(port), "news", "--since", "earliest", "--count", "2")
        with started(*counting, "--json") as reader:
            reader.wait_for_line('"text": "one"')
            for command in (publisher, reader):
                command.signal(signal.SIGTERM)
            assert (publisher.wait(), reader.wait()) == (1, 1)
    assert (last_object(publisher)["accepted"], last_object(publisher)["unsent"]) == (1, [])
    assert json.loads(reader.lines[-1])["received"] == 1


def test_a_reader_without_a_count_that_is_terminated_has_done_its_work(port: int) -> None:
    with started("subscribe", url(port), "news") as reader:
        reader.wait_for_line(SUBSCRIBED)
        reader.signal(signal.SIGTERM)
        assert reader.wait() == 0


def test_stopped_before_a_connection_it_says_so() -> None:
    with silent_server() as listener:
        port = listener.getsockname()[1]
        with started("subscribe", url(port), "news", "--wait", "60", "--json") as client:
            connection, _ = listener.accept()
            with connection:
                client.signal(signal.SIGINT)
                assert client.wait(20) == 130

    assert "stopped before there was a connection" in str(last_object(client)["error"])
    assert len(client.lines) == 2


def test_a_demo_that_is_interrupted_says_how_far_it_came() -> None:
    with started("demo", "--cuts", "1", "--json") as demo:
        demo.wait_for_line("seed ")
        demo.signal(signal.SIGINT)
        assert demo.wait(20) == 130

    found = last_object(demo)
    assert found["ok"] is False
    assert "interrupted" in str(found["faults"])
    os.unlink(str(found["output"]))


# --- standard streams that aren't there


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 1, "standard output can't be written: no space left on device"),
        (["subscribe", "ws://x/", "news", "--since", "then", "--json"], 2, "EPOCH:SEQ"),
    ],
)
def test_standard_output_that_is_full_is_one_line(
    arguments: list[str],
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open("/dev/full", "w", encoding="ascii") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run_app(arguments) == code

    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("stream", "words"),
    [("stdin", "standard input is closed; give a FILE"), ("stdout", "standard output is closed")],
)
def test_a_closed_standard_stream_is_misuse_in_one_line(
    stream: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, stream, None)

    assert run_app(["publish", "ws://127.0.0.1:1/", "news"]) == 2

    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


# --- who may be served


@pytest.mark.parametrize(("token", "anonymous"), [("secret", False), (None, True)])
def test_a_public_address_is_served_with_a_token_or_a_word(
    token: str | None, anonymous: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ServeOptions("0.0.0.0", 0, None, None, token, anonymous, as_json=False)

    async def command(stop: Stop) -> int:
        stop.handle_signal(signal.SIGTERM)
        return await run_serve(stop, options)

    assert run(command) == 0
    assert capsys.readouterr().out.startswith("listening on ws://0.0.0.0:")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_a_public_address_is_refused_otherwise(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["serve", "--host", host, "--port", "0", "--json"]) == 2

    written = capsys.readouterr()
    assert "--allow-anonymous" in json.loads(written.out)["error"]
    assert written.err.count("\n") == 1


def test_a_restart_from_a_position_file_resumes_its_session(tmp_path: Path) -> None:
    """kill -9 leaves a session behind; its token in the file brings the next run back to it."""
    options = ("--position-file", str(tmp_path / "position"))
    with serving("--json") as (server, port):
        for _ in range(2):
            with started("subscribe", url(port), "news", *options) as reader:
                reader.wait_for_line(SUBSCRIBED)
        server.signal(signal.SIGINT)
        server.wait()

    assert json.loads(server.lines[-1])["sessions"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-C", "SIGTERM"])
def test_a_reader_that_was_asked_to_stop_is_carried_on_by_its_position_file(
    number: signal.Signals, tmp_path: Path
) -> None:
    """An orderly end must not lose what kill -9 would keep: the session holds it back."""
    options = ("--position-file", str(tmp_path / "position"))
    lines = tmp_path / "lines"
    lines.write_bytes(b"m\n" * 100)
    with serving("--history", "10", "--patience", "60") as (_, port):
        with started("subscribe", url(port), "news", *options) as reader:
            reader.wait_for_line(SUBSCRIBED)
            reader.signal(number)
            reader.wait()
        with (
            started("publish", url(port), "news", str(lines)) as publisher,
            started("subscribe", url(port), "news", *options, "--count", "100") as reader,
        ):
            assert reader.wait() == 0
            assert publisher.wait() == 0


def test_a_closed_standard_error_is_no_fault_and_its_words_go_nowhere() -> None:
    """`2>&-`: they must not turn up in the data on standard output."""
    with serving() as (_, port):
        line = f'exec "{sys.executable}" -m gapless.adapters.cli publish {url(port)} news - 2>&-'
        done = subprocess.run(
            ["sh", "-c", line], input=b"m\n", capture_output=True, env=environment(), check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"1 message accepted of 1\n", b"")
        line = f'exec "{sys.executable}" -m gapless.adapters.cli bogus 2>&-'
        done = subprocess.run(
            ["sh", "-c", line], capture_output=True, env=environment(), check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"")


def test_a_server_whose_standard_output_is_full_says_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run_app(["serve", "--port", "0"]) == 1
    assert "standard output can't be written" in capsys.readouterr().err
