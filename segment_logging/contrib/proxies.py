"""Finding the address of a client whose requests may pass through proxies.

Pure. Anyone can send an X-Forwarded-For header, so each part of the header is used only if the
proxy that wrote it is trusted.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ..errors import ConfigurationError

UNIX = "unix"
"""The entry for a peer without an address: a proxy on the same machine that uses a Unix socket."""


class TrustedProxies:
    """The proxies whose X-Forwarded-For header is trusted.

    Args:
        proxies: addresses, networks such as "10.0.0.0/8", and "unix" for a peer without an address.

    Raises:
        ConfigurationError: if an entry is none of these.
    """

    def __init__(self, proxies: Iterable[str]) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self._trusts_unix = False
        if isinstance(proxies, str) or not isinstance(proxies, Iterable):
            raise ConfigurationError(
                "trusted_proxies must be a list of addresses and networks, "
                f"not {type(proxies).__name__}: pass a list such as ['10.0.0.0/8']"
            )
        for proxy in proxies:
            if proxy == UNIX:
                self._trusts_unix = True
                continue
            try:
                if not isinstance(proxy, str):
                    raise ValueError  # a number such as 3 would be read as 0.0.0.3
                self._networks.append(_as_ipv4(ip_network(proxy, strict=False)))
            except ValueError:
                raise ConfigurationError(
                    f"trusted_proxies: {proxy!r} is not an address or a network: "
                    "write '10.0.0.1', '10.0.0.0/8' or 'unix'"
                ) from None

    def client_of(self, peer: str | None, forwarded_for: str | None) -> str | None:
        """Return the client's address, or None if no trusted source provides it.

        X-Forwarded-For is read from the right, because each proxy appends the address of its own
        client. The first address that does not belong to a trusted proxy is the client's.

        Args:
            peer: the address at the other end of the connection. It may be None or empty.
            forwarded_for: the value of X-Forwarded-For. Repeated headers are joined with commas.
        """
        address = _address_of(peer) if peer else None
        trusted = self._trusts(address) if peer else self._trusts_unix
        if trusted and forwarded_for:
            for hop in reversed(forwarded_for.split(",")):
                address = _address_of(hop)
                if not self._trusts(address):
                    break
        return None if address is None else str(address)

    def _trusts(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _as_ipv4(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return a network such as `::ffff:10.0.0.0/104` in IPv4 form.

    Other networks are returned unchanged.
    """
    if isinstance(network, IPv4Network) or network.prefixlen < 96:
        return network
    mapped = network.network_address.ipv4_mapped
    return network if mapped is None else IPv4Network((mapped, network.prefixlen - 96))


def _address_of(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in a text such as `192.0.2.1:80` or `[2001:db8::1]:80`, or None.

    The port and the brackets are optional.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])  # a zone means nothing on another machine
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
