"""Drivers and outgoing adapters: each implements a port of an area and nothing else.

Only `wiring.py` constructs them. They own no keys and no routes.
"""
