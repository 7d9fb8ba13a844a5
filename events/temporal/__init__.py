"""Rules over time and causality: metric temporal logic over a stream of events, and happens-before.

Belongs here: formulas (`formula`), their text (`text`), the incremental monitor (`monitor`, over `nodes`, `states` and
`past`), the rule as an assertion (`rule`), and causality. The semantics are in `docs/decisions/018-temporal-rules.md`.
Does not belong here: assertions that count or compare single events (`events.assertions`).
May do I/O: no.
"""
