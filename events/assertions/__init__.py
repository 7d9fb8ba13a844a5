"""Assertions over a stream of events, evaluated event by event on a clock that is an argument.

Belongs here: one module for each kind of assertion.
Does not belong here: rules of temporal logic (`events.temporal`); where events come from.
May do I/O: no.

    assertion     the port
    checking      runs the assertions of a test
    occurrences   how often an event occurs
    ordering      in which order
    every_event   schema, uniqueness, dead letters
    aggregates    sums and numbers
    effects       exactly-once effect
"""
