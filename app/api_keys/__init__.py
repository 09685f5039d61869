"""API keys: how administrators prove themselves.

Owns the items of the partition `api-keys`. Routes: `/v1/api-keys`.
"""
