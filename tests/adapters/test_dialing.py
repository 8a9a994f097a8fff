"""Where a URL leads, and what is said when nothing is there."""

import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.adapters.dialing import (
    Address,
    check_dialing,
    check_port,
    dial_failure,
    is_loopback,
    parse_url,
    socket_failure,
    tls_context,
)
from gapless.core.closing import CloseClass, Code
from gapless.core.errors import ConfigError

HERE = parse_url("ws://example.com:8765/")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ws://h:1/", Address("h", 1, False, "h:1", "/")),
        ("ws://h", Address("h", 80, False, "h", "/")),
        ("wss://h", Address("h", 443, True, "h", "/")),
        ("wss://h:443/a/b?c=d&e", Address("h", 443, True, "h", "/a/b?c=d&e")),
        ("WS://EXAMPLE.com:8765", Address("example.com", 8765, False, "example.com:8765", "/")),
        ("ws://[::1]:8765/x", Address("::1", 8765, False, "[::1]:8765", "/x")),
        (
            "ws://bücher.example/",
            Address("xn--bcher-kva.example", 80, False, *("xn--bcher-kva.example", "/")),
        ),
    ],
)
def test_a_url_says_where_to_connect_and_what_to_ask_for(url: str, address: Address) -> None:
    assert parse_url(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "http://h/",
        "ws://",
        "ws:///path",
        "ws://h:port/",
        "ws://h:99999/",
        "ws://[::1/",
        "ws://h/#fragment",
        "ws://" + "ä" * 64 + ".example/",
    ],
)
def test_what_is_no_websocket_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        parse_url(url)


@pytest.mark.parametrize("url", [None, 5, b"ws://h/"])
def test_a_url_is_text(url: object) -> None:
    with pytest.raises(ConfigError, match="not a str; write ws://HOST:PORT/"):
        parse_url(url)


@pytest.mark.parametrize("port", [-1, 65_536, 80.0, "80", True, None])
def test_a_port_that_is_none_is_refused(port: object) -> None:
    with pytest.raises(ConfigError, match=r"port= is .*; it must be 0 … 65535"):
        check_port(port)


def test_every_port_is_one_and_0_too() -> None:
    for port in (0, 1, 65_535):
        check_port(port)


@pytest.mark.parametrize(
    "url",
    ["ws://me:secret@h/", "ws://me:secret@h:port/", "http://me:secret@h/", "ws://me:secret@[::1/"],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="pass token=") as raised:
        parse_url(url)

    assert "secret" not in str(raised.value)


def test_an_at_sign_in_the_path_is_no_credential() -> None:
    assert parse_url("ws://h/@me").target == "/@me"
    assert parse_url("ws://h?to=@me").target == "/?to=@me"


@pytest.mark.parametrize("host", ["faß.de", "ς.gr", "a\u200db.example"])
def test_a_name_that_old_rules_read_as_another_is_refused(host: str) -> None:
    """IDNA 2003, which Python has, makes faß.de fass.de: somebody else's."""
    with pytest.raises(ConfigError):
        parse_url(f"ws://{host}/")


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_config_error(text: str) -> None:
    for url in (text, f"ws://{text}", f"wss://h:1/{text}"):
        try:
            address = parse_url(url)
        except ConfigError:
            continue
        assert address.host.isascii()
        assert 0 <= address.port < 65536


@pytest.mark.parametrize("wait", [-1.0, float("nan"), float("inf")])
def test_a_wait_that_is_no_time_is_refused(wait: float) -> None:
    with pytest.raises(ConfigError, match="wait="):
        check_dialing(None, None, wait)


def test_tokens_that_could_not_be_sent_are_refused_without_repeating_them() -> None:
    check_dialing("token", "token", 0)
    for name in ("token", "resume"):
        secrets = {"token": None, "resume": None, name: "secret\ud800"}
        with pytest.raises(ConfigError, match=f"{name}=") as raised:
            check_dialing(wait=0, **secrets)
        assert "secret" not in str(raised.value)


def test_tls_settings_verify_by_default_and_fit_the_url() -> None:
    context = tls_context(parse_url("wss://h/"), None)

    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert tls_context(parse_url("wss://h/"), context) is context
    assert tls_context(HERE, None) is None
    with pytest.raises(ConfigError, match="wss://"):
        tls_context(HERE, context)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(111, "Connect call failed"), "nothing listens on example.com:8765"),
        (
            OSError(
                "Multiple exceptions: [Errno 111] Connect call failed ('::1', 8765, 0, 0), "
                "[Errno 111] Connect call failed ('127.0.0.1', 8765)"
            ),
            "nothing listens on example.com:8765",
        ),
        (TimeoutError(), "example.com:8765 doesn't answer"),
        (
            socket.gaierror(-2, "Name or service not known"),
            "can't reach example.com:8765: Name or service not known",
        ),
        (OSError(113, "No route to host"), "can't reach example.com:8765: No route to host"),
        (ValueError("odd"), "can't reach example.com:8765: odd"),
        (OSError(), "can't reach example.com:8765: OSError"),
        (ssl.SSLError(1, "[SSL] words"), "no TLS with example.com:8765: [SSL] words"),
    ],
)
def test_a_failed_dial_is_said_in_words_and_tried_again(error: Exception, reason: str) -> None:
    ending = dial_failure(error, HERE)

    assert reason in ending.reason
    assert ending.close_class is CloseClass.RESUME


def test_several_addresses_of_which_one_only_refuses_are_all_told() -> None:
    error = OSError("Multiple exceptions: [Errno 111] refused, [Errno 113] No route to host")

    assert "No route to host" in dial_failure(error, HERE).reason


def test_a_certificate_that_is_not_trusted_is_final() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"

    ending = dial_failure(error, HERE)

    assert ending.close_class is CloseClass.STOP
    assert "example.com:8765 is not trusted: self-signed certificate" in ending.reason


def test_a_lost_socket_is_said_in_words() -> None:
    assert socket_failure(None).reason == "the connection was lost"
    reset = ConnectionResetError(104, "Connection reset by peer")
    assert socket_failure(reset).reason == "the connection was lost: Connection reset by peer"
    assert socket_failure(reset).code == Code.LOST


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.0.1", False),
        ("localhost.example.com", False),
        ("loopback", False),
    ],
)
def test_loopback_is_what_only_this_machine_can_reach(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here
