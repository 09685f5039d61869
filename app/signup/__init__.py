"""Sign-up: an invitation, completed by whoever holds both the message and the password.

Owns the items `invitation`, and under an address `pending` (the latest invitation) and
`invitations` (the note by which a completion voids all others). Routes: `POST {base}/users`,
`{base}/users/verification`.
"""
