"""What the commands write: peers can't steer the terminal, and errors are one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.adapters.cli.addresses import parse_address, spell_address
from gapless.adapters.cli.console import count, escape_line, say, spell_ranges
from gapless.adapters.cli.outcome import CommandError


@given(st.binary(max_size=200))
def test_no_message_steers_a_terminal(payload: bytes) -> None:
    shown = escape_line(payload).decode()

    assert shown.replace("\t", "").isprintable()


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"plain\ttext", "plain\ttext"),
        ("häßlich ✓".encode(), "häßlich ✓"),
        (b"\x1b[2J", "\\x1b[2J"),
        (b"a\rb", "a\\rb"),
        (b"\xff", "\\xff"),
        ("\u202eevil".encode(), "\\u202eevil"),
        ("\x9b1m".encode(), "\\x9b1m"),
    ],
)
def test_messages_on_a_terminal(payload: bytes, shown: str) -> None:
    assert escape_line(payload).decode() == shown


def test_a_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb\x1b[0m")

    assert capsys.readouterr().err == "a\\nb\\x1b[0m\n"


def test_numbers_are_spelled_as_people_do() -> None:
    assert spell_ranges([(3, 3), (7, 12)]) == "3, 7-12"
    assert (count(1, "message"), count(2000, "message")) == ("1 message", "2,000 messages")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8765", ("127.0.0.1", 8765)),
        (":8765", ("127.0.0.1", 8765)),
        ("example.com:80", ("example.com", 80)),
        ("[::1]:80", ("::1", 80)),
        ("ws://127.0.0.1:8765/", ("127.0.0.1", 8765)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text, "TARGET") == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:70000", "host:-1", "h:1²"])
def test_what_is_no_address_is_misuse(text: str) -> None:
    with pytest.raises(CommandError, match="HOST:PORT") as caught:
        parse_address(text, "TARGET")

    assert caught.value.code == 2


def test_addresses_are_spelled_as_in_a_url() -> None:
    assert (spell_address("::1", 80), spell_address("a", 80)) == ("[::1]:80", "a:80")
