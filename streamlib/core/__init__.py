"""The pure core: no I/O, no clock, no asyncio, no Temporal.

An item's data is opaque here; an item has a topic, and a size in bytes. Reading order: `log`,
`dedup`, `retry`, `outbox`, `cursor` (the ideas); `ledger`, `rollover` (to look at, and to plan by).
"""
