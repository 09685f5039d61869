"""Users: who they are, and which address is whose.

Owns the items `profile`, `owner` and the directories of users; a user's records lie in two
partitions, the user's and the address's, and deleting a user empties both, whatever other areas
have put there. Routes: `{base}/users` for administrators.
"""
