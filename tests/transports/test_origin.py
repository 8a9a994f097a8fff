"""Row 27: which pages may connect. Exact scheme, host and port; no DNS rebinding."""

import pytest

from gapless.core.errors import ConfigError
from gapless.transports import OriginPolicy

ALLOWED = OriginPolicy(["https://app.example.com", "http://localhost:3000", "http://[::1]:8080"])


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com",
        "https://app.example.com:443",
        "HTTPS://APP.example.COM",
        "http://localhost:3000",
        "http://[::1]:8080",
    ],
)
def test_row_27_an_origin_of_the_list_passes(origin: str) -> None:
    assert ALLOWED.allows_origin(origin, "ws.example.com")


@pytest.mark.parametrize(
    "origin",
    [
        "http://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com.",
        "https://app.example.com.evil.net",
        "https://evilapp.example.com",
        "https://example.com",
        "https://app.example.com@evil.net",
        "https://evil.net#https://app.example.com",
        "https://evil.net/https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com:0",
        "https://app.example.com:65979",
        "https://app.example.com:",
        " https://app.example.com",
        "https://app.example.com\n",
        "https://app.example.com https://evil.net",
        "https://",
        "//app.example.com",
        "app.example.com",
        "null",
        "",
        "file://",
        "http://[::1",
        "https://äpp.example.com",
        "http://localhost",
    ],
)
def test_row_27_any_other_is_refused(origin: str) -> None:
    assert not ALLOWED.allows_origin(origin, "ws.example.com")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8765", "127.0.0.1:8765"),
        ("http://localhost:8765", "localhost:8765"),
        ("http://LOCALHOST:8765", "localhost:8765"),
        ("http://[::1]:8765", "[::1]:8765"),
        ("https://192.0.2.7", "192.0.2.7"),
        ("http://192.0.2.7", "192.0.2.7:80"),
    ],
)
def test_row_27_the_server_s_own_page_passes_where_dns_has_no_say(origin: str, host: str) -> None:
    assert OriginPolicy().allows_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.net:8765", "evil.net:8765"),
        ("http://localhost.evil.net:8765", "localhost.evil.net:8765"),
        ("http://127.0.0.1.evil.net", "127.0.0.1.evil.net"),
        ("http://127.0.0.1:8766", "127.0.0.1:8765"),
        ("http://127.0.0.1", "127.0.0.1:8765"),
        ("ftp://127.0.0.1:8765", "127.0.0.1:8765"),
        ("http://127.0.0.1:8765", "localhost:8765"),
        ("null", "127.0.0.1:8765"),
    ],
)
def test_row_27_a_rebound_name_or_another_port_is_refused(origin: str, host: str) -> None:
    assert not OriginPolicy().allows_origin(origin, host)


def test_row_27_allowed_hosts_name_the_server() -> None:
    policy = OriginPolicy(allowed_hosts=["App.example.com", "[::1]"])
    assert policy.allows_host("app.EXAMPLE.com:8443")
    assert policy.allows_host("[::1]:1")
    assert not policy.allows_host("localhost")
    assert not policy.allows_host("evil.net")
    assert policy.allows_origin("https://app.example.com", "app.example.com")
    assert not policy.allows_origin("https://other.example.com", "app.example.com")


@pytest.mark.parametrize("host", ["", "a b", "a:b", "a:0", "a:70000", "é", "a/b", "[x]", "a@b"])
def test_a_host_header_that_is_none_is_refused(host: str) -> None:
    assert not OriginPolicy().allows_host(host)


def test_any_host_passes_without_a_list() -> None:
    assert OriginPolicy().allows_host("my_host.internal:1")


def test_other_schemes_can_be_listed() -> None:
    policy = OriginPolicy(["moz-extension://0f6b8c2e"])
    assert policy.allows_origin("moz-extension://0f6b8c2e", "x")


@pytest.mark.parametrize("origin", ["null", "*", "example.com", "https://example.com/"])
def test_a_list_that_cannot_be_read_is_a_config_error(origin: str) -> None:
    with pytest.raises(ConfigError, match="is not an origin"):
        OriginPolicy([origin])


def test_a_host_with_a_port_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="is not a host"):
        OriginPolicy(allowed_hosts=["example.com:80"])
