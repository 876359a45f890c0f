"""What crosses the network, and the only place where host and client meet.

Reading order: `shapes` (names and fields), `binding` (topics and their types), `encode`, `parse`
(strict, and never harmful); `flow` (retention and named readers), `describe`, `compress` (the
stream about itself; a log that is large).
"""
