"""Where nodes are, as people write it and as rows show it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.addresses import Endpoint


@pytest.mark.parametrize(
    ("text", "full", "people"),
    [
        ("nas:9100", "tcp:nas:9100", "nas:9100"),
        ("tcp:nas:9100", "tcp:nas:9100", "nas:9100"),
        ("tcp:tcp:9100", "tcp:tcp:9100", "tcp:9100"),
        ("10.0.0.1:1", "tcp:10.0.0.1:1", "10.0.0.1:1"),
        ("[fe80::1%eth0]:65535", "tcp:[fe80::1%eth0]:65535", "[fe80::1%eth0]:65535"),
        ("tcp:[::1]:9100", "tcp:[::1]:9100", "[::1]:9100"),
        ("unix:/run/pim/mesh.sock", "unix:/run/pim/mesh.sock", "unix:/run/pim/mesh.sock"),
        ("unix:/a b:c/\u00e4", "unix:/a b:c/\u00e4", "unix:/a b:c/\u00e4"),
        (f"unix:/{'x' * 106}", f"unix:/{'x' * 106}", f"unix:/{'x' * 106}"),
    ],
)
def test_an_address_is_read_and_printed(text: str, full: str, people: str) -> None:
    endpoint = Endpoint.parse(text)
    assert (str(endpoint), endpoint.text) == (full, people)
    assert Endpoint.parse(full) == endpoint
    assert len({endpoint, Endpoint.parse(full)}) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not"),
        ("nas", r'is not "host:port" \(IPv6: "\[address\]:port"\)'),
        ("::1:9100", "is not"),
        ("tcp:nas", "is not"),
        ("tcp:9100", "is not"),
        ("quic:nas:9100", "is not"),
        ("[host]:1", "is not"),
        ("a..b:1", "is no host name"),
        ("a b:1", "is no host name"),
        ("nas:0", "the port must be 1 to 65535"),
        ("nas:65536", "the port must be 1 to 65535"),
        ("unix:", "must be absolute"),
        ("unix:run/pim", "must be absolute"),
        ("unix://\u0000", "must be printable"),
        ("unix:/a\nb", "must be printable"),
        ("unix:/\u202e", "must be printable"),
        (f"unix:/{'x' * 107}", "at most 107 bytes"),
        (f"unix:/{chr(0xE4) * 54}", "at most 107 bytes"),
    ],
)
def test_what_is_no_address_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Endpoint.parse(text)


@given(st.text(max_size=40) | st.text(max_size=40).map("unix:/".__add__) | st.text(max_size=40).map("tcp:".__add__))
def test_whatever_is_taken_is_printed_so_that_it_is_read_again(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except ValueError:
        return
    assert Endpoint.parse(str(endpoint)) == Endpoint.parse(endpoint.text) == endpoint


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [("nas", 9100, "nas:9100"), ("::1", 9100, "[::1]:9100"), ("fe80::1%eth0", 0, "[fe80::1%eth0]:0")],
)
def test_host_and_port_are_put_together_and_taken_apart(host: str, port: int, text: str) -> None:
    endpoint = Endpoint.tcp(host, port)
    assert (endpoint.text, endpoint.host, endpoint.port) == (text, host, port)


def test_a_port_belongs_to_a_host() -> None:
    assert Endpoint.tcp("::1", 50000).at_port(9100) == Endpoint.tcp("::1", 9100)
    assert Endpoint.tcp("::1", 50000).at_port(None) is None
    assert Endpoint.parse("unix:/run/pim").at_port(9100) is None


@pytest.mark.parametrize("text", ["[fe80::a]:9100", "tcp:[fe80:0::a]:9100", "[febf::1]:1"])
def test_a_link_local_address_without_its_interface_says_what_is_missing(text: str) -> None:
    endpoint = Endpoint.parse(text)
    assert endpoint.fault is not None
    example = endpoint.fault.rpartition(" ")[2]
    assert "%eth0]:" in example
    assert Endpoint.parse(example).fault is None


@pytest.mark.parametrize(
    "text", ["[fe80::a%2]:9100", "[fd00::a]:9100", "169.254.1.1:9100", "fe80:9100", "nas:9100", "unix:/fe80"]
)
def test_what_may_be_reached_has_no_fault(text: str) -> None:
    assert Endpoint.parse(text).fault is None


@pytest.mark.parametrize(
    ("text", "is_ip"), [("10.0.0.1:1", True), ("[fe80::1%eth0]:1", True), ("nas:1", False), ("unix:/10.0.0.1", False)]
)
def test_an_ip_address_needs_no_lookup(text: str, is_ip: bool) -> None:  # noqa: FBT001
    assert Endpoint.parse(text).is_ip is is_ip
