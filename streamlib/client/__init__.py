"""Everybody else's side: publish and subscribe.

Reading order: `transport` (the calls to Temporal), `publisher`; `tally`, `feed`, `subscriber`,
`watch`; `client`, the front.
"""
