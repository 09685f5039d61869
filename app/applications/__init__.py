"""Applications: each is a tenant with its own settings, users, keys and issuer.

Owns the items `app#{app}` / `application`, `applications` and the shards that count users.
Routes: `/v1/applications`, `{base}`, `{base}/keys`, `{base}/jwks.json`, `{base}/.well-known/…`.
"""
