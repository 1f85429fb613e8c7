"""Proxies in front of the server: whose word counts about who asks, from where, and how.

Only the address that the connection itself comes from decides. From anywhere else than a named proxy, what a proxy
would say is taken off the request before anything else sees it.
"""

import ipaddress
import os
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from explorer.errors import BadInput

_SAID = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port"})
_SCHEMES = {"http": {b"http": "http", b"https": "https"}, "websocket": {b"http": "ws", b"https": "wss"}}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Proxies:
    """EXPLORER_PROXIES (addresses or networks, comma-separated) and EXPLORER_PROXY_HEADER, in small letters."""

    networks: tuple[Network, ...] = ()
    header: str = ""

    @classmethod
    def from_environment(cls) -> "Proxies":
        """Raises BadInput for what is no address, and for a header without proxies that may send it."""
        networks = []
        for part in os.environ.get("EXPLORER_PROXIES", "").split(","):
            if not part.strip():
                continue
            try:
                network = ipaddress.ip_network(part.strip())
            except ValueError as error:
                raise BadInput(
                    f"EXPLORER_PROXIES: {error}. Write addresses or networks, such as 172.30.0.2 or 172.30.0.0/29."
                ) from error
            if network.prefixlen == 0:
                raise BadInput(f"EXPLORER_PROXIES: {network} is everybody; name the proxy's own address.")
            networks.append(network)
        header = os.environ.get("EXPLORER_PROXY_HEADER", "").strip().lower()
        if header and not networks:
            raise BadInput(
                f"EXPLORER_PROXY_HEADER={header} says who somebody is, so it is believed from named proxies only: set "
                "EXPLORER_PROXIES to the address that the proxy connects from."
            )
        if header and (not header.isascii() or not header.replace("-", "").isalnum() or header in ("host", "cookie")):
            raise BadInput(f"EXPLORER_PROXY_HEADER: '{header}' cannot name a person; x-forwarded-email could.")
        return cls(tuple(networks), header)

    def trusts(self, address: str | None) -> bool:
        """Whether a connection from this address comes from a named proxy."""
        if not self.networks:
            return False
        try:
            peer = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        plain = getattr(peer, "ipv4_mapped", None) or peer  # a socket that takes both kinds writes ::ffff:10.0.0.2
        return any(plain in network for network in self.networks)

    def seen(self, scope: Scope) -> Scope:
        """The request as it is to be believed: cleaned, or with the scheme and client that the proxy tells."""
        peer = scope["client"][0] if scope.get("client") else None
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        own = self.header.encode()
        if not self.trusts(peer):
            kept = [each for each in headers if each[0] not in _SAID and each[0] != own]
            return {**scope, "headers": kept}
        told = {name: [value for key, value in headers if key == name] for name in {*_SAID, own}}
        scope = {**scope, "headers": headers}
        if len(told[own]) > 1:  # one of them came from the browser, and nobody can tell which
            scope["headers"] = [each for each in headers if each[0] != own]
        schemes = [_SCHEMES[scope["type"]].get(value.strip()) for value in told[b"x-forwarded-proto"]]
        if len(schemes) == 1 and schemes[0]:
            scope["scheme"] = schemes[0]
        hops = b",".join(told[b"x-forwarded-for"]).decode("latin-1").split(",")
        # Each proxy adds at the end whom it saw; what stands before that can be made up.
        client = next((hop.strip() for hop in reversed(hops) if not self.trusts(hop.strip())), "")
        if client:
            scope["client"] = (client[:64], 0)
        return scope


class Proxied:
    """ASGI middleware, the outermost: everything behind it sees what `Proxies.seen` makes of a request."""

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        self.app = app
        self.proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = self.proxies.seen(scope)
        await self.app(scope, receive, send)
