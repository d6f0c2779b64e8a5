"""Where a URL of somebody else may lead us: the Internet, and what the operator allows.

A name is looked up once, and the addresses that were checked are those that are connected to.
"""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from siprec_web.errors import FetchFailed, FetchRefused
from siprec_web.lookup import addresses_of

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
# ::/96 as it was, and what translators write (RFC 4291 §2.5.5.1, RFC 2765 §2.1).
_HOLDING = (*_NAT64, ip_network("::/96"), ip_network("::ffff:0:0:0/96"))
# Public by the registry: a platform's own address of one cloud, and the relays of 6to4.
_SPECIAL = (ip_network("168.63.129.16/32"), ip_network("192.88.99.0/24"))


class Guard:
    """Tells which addresses may be reached: public ones, and those in the networks of `allow`."""

    def __init__(self, allow: Sequence[Network] = (), *, is_private_allowed: bool = False) -> None:
        self._allow = tuple(allow)
        self._is_private_allowed = is_private_allowed

    def resolve(self, host: str, port: int, within_s: float) -> list[Address]:
        """Look a host up; give its addresses, each of which may be reached.

        Raises:
            FetchRefused: one of them may not.
            FetchFailed: there is no such host.
            TimeoutError: who knows the name did not answer in time.
        """
        try:
            found = addresses_of(host, port, within_s)
        except TimeoutError:
            raise
        except (OSError, UnicodeError) as error:
            raise FetchFailed(f"no address of {host}: {error}") from error
        addresses = list(dict.fromkeys(map(ip_address, found)))
        for address in addresses:
            if not self.may_reach(address):
                raise FetchRefused(f"{host} is at {address}, which may not be reached")
        return addresses

    def may_reach(self, address: Address) -> bool:
        """Tell whether it may be reached; of one that holds another, both must be."""
        if self._is_private_allowed or self._is_allowed(address):
            return True
        return all(self._is_fine(each) for each in (address, *_embedded(address)))

    def _is_allowed(self, address: Address) -> bool:
        return any(
            address.version == network.version and address in network for network in self._allow
        )

    def _is_fine(self, address: Address) -> bool:
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            # What it stands for is judged.
            return True
        return self._is_allowed(address) or _is_public(address)


def _is_public(address: Address) -> bool:
    if address.is_multicast or any(
        address.version == network.version and address in network for network in _SPECIAL
    ):
        return False
    return address.is_global and not getattr(address, "is_site_local", False)


def _embedded(address: Address) -> list[IPv4Address]:
    """Give the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _HOLDING):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]
