"""The pure core: no I/O, no clock, no asyncio, no Temporal.

An item's data is opaque here; an item has a topic, and a size in bytes. Reading order: `log`,
`dedup`, `retry`, `outbox`, `cursor`, `window` (the ideas); `chunks`, `retention`, `readers` (what
goes by itself, and who resumes where); `limits`, `ledger`, `rollover` (to live by, to look at, to
plan by); `parts` (a log and a table of your own); `hosting` (what a host decides with all of
these).
"""
