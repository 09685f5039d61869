"""Access tokens: signed statements about a user and a session (RFC 9068).

Owns no items and no routes; flows hand them out, and bearer authentication checks them.
"""
