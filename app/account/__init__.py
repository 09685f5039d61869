"""The own account: what a signed-in user sees and does.

Owns no items. Routes: `{base}/users/me`, `{base}/users/me/sessions`.
"""
