"""Audit: who did what to whom, from where, and whether it was granted.

Owns the items of three trails: an application's, a user's and the deployment's. Whoever changes
something records it here, event and audit record in the commit of the change. Routes:
`{base}/audit-events`, `/v1/audit-events`.
"""
