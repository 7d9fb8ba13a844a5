"""Assertions over a stream of events, evaluated event by event on a clock that is an argument.

Belongs here: one module for each kind of assertion, their port (`assertion`), and `checking`, which runs several.
Does not belong here: rules of temporal logic (`events.temporal`); where events come from.
May do I/O: no.
"""
