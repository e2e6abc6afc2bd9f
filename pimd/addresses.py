"""Addresses of nodes, as people write them."""

import ipaddress


def split_address(text: str) -> tuple[str, int]:
    """Take `host:port` or `[v6]:port` apart; ValueError says what is wrong."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    bracketed = bare != host
    if not colon or bracketed != (":" in bare) or (bracketed and not _is_ipv6(host)):
        raise ValueError(f'address {text!r} is not "host:port" (IPv6: "[address]:port")')
    if not bracketed and not _is_host_name(bare):
        raise ValueError(
            f"address {text!r}: {bare!r} is no host name; each part between its dots has 1 to 63 characters"
        )
    if not port.isascii() or not port.isdigit() or len(port) > len("65535") or not 0 < int(port) < 2**16:
        raise ValueError(f"address {text!r}: the port must be 1 to 65535; pimd's own is 9100 as a rule")
    return bare, int(port)


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    # A scope takes anything.
    return host.startswith("[") and host.endswith("]") and _is_visible(host)


def _is_host_name(text: str) -> bool:
    """Tell whether the system's resolver takes it; what it cannot encode it raises as UnicodeError, no OSError."""
    try:
        encoded = text.encode("idna")
    except UnicodeError:
        return False
    return bool(encoded) and _is_visible(text)


def _is_visible(text: str) -> bool:
    return text.isprintable() and " " not in text
