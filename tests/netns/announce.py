"""Run inside a namespace: announces what it reads as JSON from its standard input, true or not."""

import ipaddress
import json
import socket
import sys
import time
from typing import Any

import ifaddr
from zeroconf import DNSOutgoing, DNSPointer, ServiceInfo  # type: ignore[attr-defined] # not all are in __all__
from zeroconf.const import _CLASS_IN, _FLAGS_AA, _FLAGS_QR_RESPONSE, _TYPE_PTR

TYPE = "_pim._tcp.local."
GROUP = ("224.0.0.251", 5353)


def packets(service: dict[str, Any]) -> list[bytes]:
    """The announcement of one instance; only its name without a port."""
    out = DNSOutgoing(_FLAGS_QR_RESPONSE | _FLAGS_AA)
    name = f"{service['name']}.{TYPE}"
    out.add_answer_at_time(DNSPointer(TYPE, _TYPE_PTR, _CLASS_IN, 4500, name), 0)
    if "port" in service:
        info = ServiceInfo(
            TYPE,
            name,
            service["port"],
            properties=bytes.fromhex(service["text"]),
            server=f"{service['name'][:32]}.local.",
            addresses=[ipaddress.ip_address(address).packed for address in service["addresses"]],
        )
        out.add_answer_at_time(info.dns_service(), 0)
        out.add_answer_at_time(info.dns_text(), 0)
        for record in info.get_address_and_nsec_records():
            out.add_answer_at_time(record, 0)
    return list(out.packets())


def main() -> None:
    """Send all of it."""
    addresses = (str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4)
    own = next(address for address in addresses if address != "127.0.0.1")
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sender.bind((own, 5353))
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
    for number, service in enumerate(json.load(sys.stdin)):
        for packet in packets(service):
            sender.sendto(packet, GROUP)
        if number % 20 == 0:
            time.sleep(0.005)  # not faster than a receiver reads, or the kernel drops most of it


if __name__ == "__main__":
    main()
