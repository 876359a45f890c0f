"""Everybody else's side: publish and subscribe.

Reading order: `transport` (the calls to Temporal), `publisher`; `follow` and `tally` (what history
says), `patience` (calls until they work), `source`, `newest`, `feed`; `subscriber`, `watch`;
`registry`; `client`, the front.
"""
