"""Who may talk to a loopback service."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.loopback import allowed, is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8899", "localhost", "localhost:1", "LOCALHOST:80", "[::1]:9"]
)
@pytest.mark.parametrize(
    "origin", [None, "http://127.0.0.1:8888", "http://localhost:3000", "https://localhost"]
)
def test_programs_of_this_machine_may(host: str, origin: str | None) -> None:
    """
    A request to a loopback name, from no page or from a page of this machine, passes.
    """
    assert allowed(host, origin)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:8899",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "127.0.0.1@evil.example",
        "127.0.0.1:80@evil.example",
        "evil.example#127.0.0.1",
        "evil.example/127.0.0.1",
        "evil.example\\@127.0.0.1",
        "evil.example@127.0.0.1",
        "127.0.0.1?evil.example",
        "127.0.0.1, evil.example",
        "127.0.0.1:80x",
        "127.0.0.2",
        "0.0.0.0",
        "[::1",
        "[::2]",
        "xn--localhost",
        " ",
    ],
)
def test_a_name_made_to_point_here_may_not(host: str | None) -> None:
    """
    DNS rebinding: the page's own name is in `Host`, and that gives it away.
    """
    assert not allowed(host, None)
    assert not allowed(host, "http://localhost")


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://evil.example",
        "https://evil.example:8899",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://localhost.evil.example",
        "file://",
        "chrome-extension://abcdefgh",
        "localhost",
        "127.0.0.1:8888",
        "http://[::1",
        "http://evil.example@localhost",
        "http://localhost/page",
        "http://localhost http://evil.example",
    ],
)
def test_a_page_from_elsewhere_may_not(origin: str) -> None:
    """
    A page says where it is from in `Origin`, a sandboxed one says `null`: neither is of here.
    """
    assert not allowed("127.0.0.1:8899", origin)


@given(host=st.text(max_size=40), origin=st.none() | st.text(max_size=40))
def test_any_text_is_judged(host: str, origin: str | None) -> None:
    """
    No header, however strange, raises; and what has no loopback name in it never passes.
    """
    passed = allowed(host, origin)

    if passed:
        assert any(name in host.lower() for name in ("127.0.0.1", "localhost", "::1"))


def test_all_addresses_have_to_be_of_here() -> None:
    """
    One address elsewhere is enough for a network not to be loopback.
    """
    assert is_loopback("http://127.0.0.1:1", "ws://localhost:2", "http://[::1]:3/{id}")
    assert not is_loopback("http://127.0.0.1:1", "https://{id}.node.k8s.prd.nos.ci")
    assert not is_loopback("http://127.0.0.1.evil.example")
    assert not is_loopback("")
