"""Who may use a server: a token that is asked for, and web pages of other servers that are not."""

import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit


class Access:
    """The rules.

    Attributes:
        needs_token: whether there is a token to know.
    """

    def __init__(self, token: str | None, allowed_origins: Sequence[str] = ()) -> None:
        """Takes the token; None where everybody may come in."""
        self._token = None if token is None else token.encode()
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)

    @property
    def needs_token(self) -> bool:
        """Whether there is a token to know."""
        return self._token is not None

    def knows(self, token: str | None) -> bool:
        """Whether this is the token. How long it takes does not say how much of it is right."""
        if self._token is None:
            return True
        return token is not None and hmac.compare_digest(token.encode("utf-8", "replace"), self._token)

    def knows_header(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has it: ``Authorization: Bearer TOKEN``."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return self.knows(token.strip() if scheme.lower() == "bearer" else None)

    def is_welcome(self, headers: Mapping[str, str]) -> bool:
        """Whether the request is from no web page, from one of this server, or from one that is allowed.

        Browsers let every page that somebody looks at send requests to, say, their own machine; they say in
        ``Origin`` which page it was.
        """
        origin = headers.get("origin")
        if origin is None:
            return True
        try:
            host = urlsplit(origin).netloc
        except ValueError:
            return False
        return (bool(host) and host == headers.get("host")) or origin.lower() in self._origins
