"""The outbox: events that lie in the same commit as the change they tell of.

Owns the items `outbox#{shard}` and `dead-letters`; no routes. The audit's
journal records events here; the dispatcher hands each to the consumers at least once.
"""
