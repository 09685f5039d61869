"""Recovery: a new password for whoever reads the address's messages.

Owns the items `reset` under an address and under a token's digest. Routes:
`{base}/users/password/reset`, `PUT {base}/users/password`.
"""
