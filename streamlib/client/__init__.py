"""Everybody else's side: publish and subscribe.

Reading order: `transport` (the calls to Temporal), `stats`, `receipt`, `publisher`; `follow` and
`tally` (what history says), `patience` (calls until they work), `source`, `newest`, `feed`;
`named`, `subscriber`, `watch`; `registry`; `client`, the front.
"""
