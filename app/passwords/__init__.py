"""Passwords: the factor that somebody knows.

Owns the item `password` under an address. No routes of its own: flows use it.
"""
