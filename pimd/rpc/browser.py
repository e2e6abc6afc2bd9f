"""What a web page may do with the HTTP port: nothing, unless its origin is allowed."""

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from pimd.settings.sections import is_loopback

HOST = re.compile(r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(:[0-9]{0,5})?", re.ASCII)
"""Of a `Host` header (RFC 9110, 7.2): no userinfo, path, query or fragment."""


class BrowserRules:
    """Refuses by Origin, Host and Sec-Fetch-Site, before the request is parsed."""

    def __init__(self, allowed_origins: Collection[str], allowed_hosts: Collection[str]) -> None:
        self._origins = frozenset(origin.lower().rstrip("/") for origin in allowed_origins)
        self._hosts = frozenset(host.lower() for host in allowed_hosts)

    def refusal(self, headers: Mapping[str, str], target: str) -> str | None:
        """Return why a request must not be served, or None; `target` is a path, or a whole URL (RFC 9112, 3.2.2)."""
        origin = headers.get("Origin")
        if origin is not None and not self.allows(origin):
            return "web pages of this origin may not call; add it to [rpc] allowed_origins if they should"
        named = headers.get("Host", "")
        if not self._host_is_ours(named) or not (target.startswith("/") or self._host_is_ours(urlsplit(target).netloc)):
            return "this host name is not served; add it to [rpc] allowed_hosts if it should be"
        if origin is None and headers.get("Sec-Fetch-Site", "").lower() == "cross-site":
            return "other web sites may not call; add their origin to [rpc] allowed_origins if they should"
        return None

    def allows(self, origin: str) -> bool:
        """Tell whether an origin is allowed; `null` never is."""
        return origin.lower().rstrip("/") in self._origins

    def cors(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the CORS headers of an answer; none unless the origin is allowed."""
        origin = headers.get("Origin")
        if origin is None or not self.allows(origin):
            return {}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    def _host_is_ours(self, host: str) -> bool:
        found = HOST.fullmatch(host)
        if found is None:
            return False
        name = (found["v6"] or found["name"]).lower()
        return is_loopback(name) or name in self._hosts or host.lower() in self._hosts
