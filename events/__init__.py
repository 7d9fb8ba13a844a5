"""The framework for tests of event-driven systems: it consumes events and checks assertions about them.

Belongs here: the event, its matcher and scope; the consumer; `assertions`; `temporal` (rules over time, and causality);
`checkers` (histories of producers and consumers); `brokers` (the port and its implementations);
`registry` (payloads with a registered schema); test files; recordings.
Does not belong here: SQL, Prefect, and the way of an event test through the queue.
May do I/O: only `brokers`, `registry`, `consumer`, the triggers, `recording`, `run`, `tail` and the pytest plugin. The
rest is pure: time is an argument.

The public names are `events.driven_test.EventDrivenTest`, `events.consumer.EventConsumer`,
`events.assertions.occurrences.EventAssertion` and `events.matcher.EventMatcher`. `docs/events.md` is their guide.
"""
