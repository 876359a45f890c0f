"""What a lesson's cells say and do: predictions, checks, streams of its own, text views of a log.

Reading order: `lesson`, `hosts`, `tape`, `publishers`, `batches`, `checks/`, `llm`, `own_log/`,
`nesting`.
"""
