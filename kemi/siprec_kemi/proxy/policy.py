"""Who may call, and where a call goes."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from siprec.errors import SipUriError
from siprec.settings import Settings
from siprec.sip_uri import parse_uri
from siprec.twiml_run import Target, TargetKind


class Policy:
    """The operator's answers. `sources` and `gateway` are those of `siprec.toml`."""

    def __init__(self, settings: Settings) -> None:
        networks = [ipaddress.ip_network(text, strict=False) for text in settings.sip.allow]
        self._allows = lru_cache(maxsize=10_000)(lambda source: _is_in(source, networks))
        self._gateway = settings.routing.gateway
        self._gateway_host = None if self._gateway is None else parse_uri(self._gateway).host
        self._follows_request_uri = settings.sip.request_uri_routing

    def may_call(self, source: str) -> bool:
        """Tell whether the source address is in a listed network."""
        return self._allows(source)

    def trusts(self, source: str) -> bool:
        """Tell whether what this address asserts of identities counts (RFC 3325 §4).

        Those that may call are trusted, and so is the gateway, when it is given by its address.
        """
        return self._allows(source) or source.strip("[]") == self._gateway_host

    def default_target(self, request_uri: str, called: str, *, is_to_us: bool) -> str | None:
        """Give where a call without a document goes; None when nowhere."""
        if self._gateway is not None:
            return self.number_uri(called)
        if self._follows_request_uri and not is_to_us:
            return request_uri
        return None

    def target_uri(self, target: Target) -> str | None:
        """Give the URI of a dialled target; None when there is no gateway for a number."""
        if target.kind is TargetKind.SIP:
            return target.value
        return self.number_uri(target.value)

    def number_uri(self, number: str) -> str | None:
        """Give the URI of a number behind the gateway."""
        if self._gateway is None:
            return None
        scheme, _, rest = self._gateway.partition(":")
        return f"{scheme}:{number}@{rest.rpartition('@')[2]}"


def _is_in(source: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        address = ipaddress.ip_address(source.strip("[]"))
    except ValueError:
        return False
    return any(address in network for network in networks)


def is_sip_uri(text: str) -> bool:
    """Tell whether a Request-URI is one that we can route."""
    try:
        parse_uri(text)
    except SipUriError:
        return False
    return True
