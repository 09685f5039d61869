"""Sessions: what a proved identity keeps, and the refresh tokens that carry it on.

Owns the items `session#{session}` of a user's partition. Routes: `{base}/users/me/sessions`.
"""
