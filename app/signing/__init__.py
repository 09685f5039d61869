"""Signing keys: one ring for each application.

Owns the item `app#{app}` / `keys`. No routes of its own: an application's router shows them.
"""
