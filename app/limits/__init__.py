"""Limits: how often somebody may try, sign up, or be written to.

Owns the item `tally` of each network and the item `messages` under an address; the failures of one
account lie in its `password`. No routes. Everything is counted in the commit that it limits, so
that parallel attempts never get past a limit.
"""
