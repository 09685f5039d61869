"""Sign-in: a proved identity receives a session and its tokens.

Owns no items; reads those of addresses and networks. Routes: `POST {base}/users/token`,
`POST {base}/users/token/revoke`.
"""
