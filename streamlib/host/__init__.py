"""The workflow's side: a workflow hosts a log. Reading order: `carry`, `begin`, `topic`,
`stream`.
"""
