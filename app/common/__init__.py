"""What every area needs and no area owns: clock, ids, secrets, refusals, paging.

Owns no keys and no routes, and imports nothing else of ours.
"""
