"""The storage port: items under a partition and a sort key, with conditions and transactions.

`table.py` is the port, `work.py` commits the writes of a use case, `keys.py` lists every key
pattern, `deployment.py` keeps the deployment's own secret. No routes. The access patterns of an
area are in its `store.py`.
"""
