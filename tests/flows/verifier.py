"""An off-the-shelf verifier of access tokens that knows an issuer and nothing else of us."""

import json
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import jwt

ALGORITHMS = ["RS256", "ES256", "EdDSA"]
DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """PyJWT with its own client of key sets, found by discovery."""

    issuer: str
    keys: jwt.PyJWKClient = field(repr=False)

    def verify(self, token: str, audience: str | None = None) -> dict[str, Any]:
        """The claims of a token of this issuer.

        Raises:
            jwt.PyJWTError: it is not one.
        """
        key = self.keys.get_signing_key_from_jwt(token)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            issuer=self.issuer,
            audience=audience,
            options={"require": ["exp", "iat", "sub"], "verify_aud": audience is not None},
        )
        return claims


def verifier_of(issuer: str, *, cooldown: float = 30) -> Verifier:
    """A verifier that is told the issuer alone.

    Args:
        issuer: whose tokens it takes.
        cooldown: seconds for which it does not ask for the keys again; PyJWT's default.
    """
    with urllib.request.urlopen(issuer + DISCOVERY, timeout=30) as answer:
        configuration = json.load(answer)
    assert configuration["issuer"] == issuer
    keys = jwt.PyJWKClient(configuration["jwks_uri"], cooldown_duration=cooldown)
    return Verifier(issuer=issuer, keys=keys)
