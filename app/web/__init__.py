"""What every route shares: who may call, what a request brings, how a refusal is told.

Owns no keys. Routes: `/health`, `/docs`, `/openapi.json`, `/static`, and in local mode `/`.
"""
