"""Passerine: a self-hosted authentication service.

`DECISIONS.md` beside this file says why the house is built as it is. A request passes
router, logic, store and driver of one area; `wiring.py` is the one place that builds them.
"""

__version__ = "0.1.0"
