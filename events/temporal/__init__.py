"""Rules over time and causality: metric temporal logic over a stream of events, and happens-before.

Belongs here: formulas, their monitors, and the rule as an assertion. The semantics are in
`docs/decisions/018-temporal-rules.md`.
Does not belong here: assertions that count or compare single events (`events.assertions`).
May do I/O: no.

    formula    formulas as values
    text       formulas as text
    rule       a rule as an assertion
    monitor    the incremental monitor
    states     what it knows between two events
    nodes      how a formula goes on with the next event
    past       operators of the past
    shapes     monitors of two common shapes, equal to it and faster
    causality  happens-before
"""
