"""Where a webhook may go: only to addresses that anybody on the internet could reach, unless allowed.

Prevents a webhook that makes our worker speak to what only our worker reaches: loopback, the private
network, link-local addresses, and the metadata services of clouds, which give tokens to whoever asks from
inside. Names are resolved here and connections go to the very addresses that were checked, so a name that
answers differently a moment later (DNS rebinding) gains nothing.
"""

import ipaddress
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from labelbridge.errors import LabelbridgeError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SPECIAL = (
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's platform service inside every virtual machine
    ipaddress.ip_network("192.0.0.0/24"),  # IETF assignments, among them a cloud's metadata service
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4
)
"""Public by number for some versions of Python, and not of the internet."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""A gateway turns the last four bytes into an IPv4 address (RFC 6052), which decides."""


def refused(address: Address, allowed: Sequence[Network] = (), *, only_allowed: bool = False) -> bool:
    """True if a webhook may not go to this address.

    Args:
        address: where a connection would go.
        allowed: networks that webhooks may reach although they are private.
        only_allowed: nothing else may be reached: for plain http, which anybody on the way could read.
    """
    inner = _carried(address)
    if any(_within(one, network) for one in (address, inner) if one for network in allowed):
        return False
    if only_allowed:
        return True
    translated = inner is not None and address in _NAT64
    return (not translated and _private(address)) or (inner is not None and _private(inner))


def check(host: str, address: str, allowed: Sequence[Network], *, only_allowed: bool = False) -> None:
    """Raise `address_refused` if `address`, to which the name `host` resolves, must not be reached."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        raise LabelbridgeError("address_refused", f"{host} resolves to {address!r}, no address.") from None
    if refused(found, allowed, only_allowed=only_allowed):
        where = "" if host == address else f" ({address})"
        what = "an allowed address for plain http" if only_allowed else "an address of the public internet"
        raise LabelbridgeError("address_refused", f"{host}{where} is not {what}.")


def _private(address: Address) -> bool:
    odd = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    return odd or not address.is_global or any(_within(address, network) for network in _SPECIAL)


def _carried(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for, by any of the ways that there are."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


class CheckedResolver(AbstractResolver):
    """aiohttp's resolver that hands out checked addresses only; one bad address refuses the name."""

    def __init__(self, allowed: Sequence[Network], *, only_allowed: bool = False) -> None:
        """Arguments as for `refused`. Must be made inside an event loop."""
        self._allowed = tuple(allowed)
        self._only_allowed = only_allowed
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`; `address_refused` if any of them must not be reached."""
        found = await self._inner.resolve(host, port, family)
        for one in found:
            check(host, one["host"], self._allowed, only_allowed=self._only_allowed)
        return found

    async def close(self) -> None:
        """Nothing is kept."""
        await self._inner.close()
