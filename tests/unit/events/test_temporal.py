"""The monitor of temporal rules against two others: the definition, and reelay for the formulas of the past."""

import os
from random import Random

import reelay
from harness.naive_temporal import Naive, Trace

from events.event import Event, Topic
from events.temporal.formula import (
    Always,
    And,
    Atom,
    Constant,
    Eventually,
    Formula,
    Historically,
    Implies,
    Not,
    Once,
    Or,
    Since,
    Until,
    Window,
)
from events.temporal.monitor import CompiledFormula, Monitor, atoms_in
from events.temporal.past import evaluator
from events.temporal.shapes import ResponseMonitor

COUNT = int(os.environ.get("ASSAY_TEMPORAL_FORMULAS", "1000"))
"""The issue asks for 10,000; the default keeps the unit tests short."""
OF_REELAY = max(COUNT // 20, 1)
"""It takes 50 ms to build one monitor."""
ATOMS = 3


def event(at: float) -> Event:
    return Event(topic=Topic("t"), type="e", at=at)


def window(random: Random) -> Window:
    low = random.choice([0, 0, 0, 1, 2, 4])
    return Window(low, random.choice([low, low + 1, low + 3, low + 6, float("inf")]))


def formula(random: Random, depth: int, *, future: bool) -> Formula:
    if depth == 0 or random.random() < 0.15:
        return random.choice([Atom(random.randrange(ATOMS))] * 9 + [Constant(random.random() < 0.5)])
    binary = random.choice([And, Or, Implies, Since, *([Until] * 2 * future)])
    unary = random.choice([Not, Once, Historically, *([Always, Eventually] * 2 * future)])
    chosen = random.choice([binary, unary])
    inside = future and chosen not in (Once, Historically, Since)
    inner = formula(random, depth - 1, future=inside)
    if chosen is Not:
        return Not(inner)
    if chosen is unary:
        return unary(inner, window(random))
    other = formula(random, depth - 1, future=inside)
    return binary(inner, other, window(random)) if chosen in (Until, Since) else binary(inner, other)


def trace(random: Random) -> Trace:
    now, found = 0.0, []
    for _ in range(random.randint(1, 9)):
        now += random.choice([0, 1, 1, 2, 3, 7])
        found.append((now, random.getrandbits(ATOMS) if random.random() < 0.8 else 0))
    return found


def test_every_prefix_has_the_value_of_the_definition() -> None:
    """Equal at every event, after every pause, and at the end: true, false and open alike."""
    random = Random(20261130)
    for number in range(COUNT):
        rule, events = formula(random, 3, future=True), trace(random)
        monitor = Monitor(CompiledFormula(rule))
        for i, (now, letter) in enumerate(events):
            monitor.observe(letter, event(now))
            assert monitor.value == Naive(events[: i + 1], now, ended=False).value(rule), (number, rule, events, i)
        later = events[-1][0] + random.choice([0, 0.5, 3, 20])
        monitor.advance(later)
        assert monitor.value == Naive(events, later, ended=False).value(rule), (number, rule, events, later)
        monitor.close(later)
        assert monitor.value == Naive(events, later, ended=True).value(rule), (number, rule, events, later)


def in_reelay(rule: Formula) -> str:  # noqa: C901, PLR0911  a case for each operator
    def bounds(window: Window) -> str:
        return f"[{window.low:.0f}:{'' if window.high == float('inf') else f'{window.high:.0f}'}]"

    match rule:
        case Constant(value):
            return "({p0: true} or not {p0: true})" if value else "({p0: true} and not {p0: true})"
        case Atom(number):
            return f"{{p{number}: true}}"
        case Not(inner):
            return f"(not {in_reelay(inner)})"
        case And(left, right):
            return f"({in_reelay(left)} and {in_reelay(right)})"
        case Or(left, right):
            return f"({in_reelay(left)} or {in_reelay(right)})"
        case Implies(left, right):
            return f"({in_reelay(left)} implies {in_reelay(right)})"
        case Once(inner, window):
            return f"(once{bounds(window)} {in_reelay(inner)})"
        case Historically(inner, window):
            return f"(historically{bounds(window)} {in_reelay(inner)})"
        case Since(left, right, window):
            return f"({in_reelay(left)} since{bounds(window)} {in_reelay(right)})"
    raise AssertionError(rule)


def test_formulas_of_the_past_have_the_value_of_reelay() -> None:
    """reelay's discrete time is the number of the event, so each event comes one unit after the last one."""
    random = Random(7)
    for _ in range(OF_REELAY):
        rule = formula(random, 3, future=False)
        if "[0:0]" in in_reelay(rule):
            continue  # reelay 25.0.0 calls `historically[0:0] p` false where p is true
        letters = [random.getrandbits(ATOMS) for _ in range(random.randint(1, 12))]
        peer = reelay.discrete_timed_monitor(pattern=in_reelay(rule), semantics="boolean", condense=False)
        ours = evaluator(rule)
        for at, letter in enumerate(letters):
            answer = peer.update({f"p{number}": bool(letter >> number & 1) for number in range(ATOMS)})
            assert ours(letter, float(at)) is answer["value"], (rule, letters[: at + 1])


def shaped(random: Random) -> Formula:
    """Return a formula for which there is a faster monitor."""
    low, high = 0, random.choice([0, 1, 3, 7, float("inf")])
    if random.random() < 0.5:
        return Always(formula(random, 3, future=False))
    return Always(Implies(propositional(random, 2), Eventually(propositional(random, 2), Window(low, high))))


def propositional(random: Random, depth: int) -> Formula:
    if depth == 0:
        return Atom(random.randrange(ATOMS))
    inner = propositional(random, depth - 1), propositional(random, depth - 1)
    return random.choice([Not(inner[0]), And(*inner), Or(*inner), Implies(*inner), inner[0]])


def test_the_faster_monitors_are_equal_to_progression() -> None:
    """At each event, after a pause and at the end: the value, and the witness where it is broken."""
    random = Random(4)
    for _ in range(COUNT):
        rule = shaped(random)
        known = 2 ** atoms_in(rule) - 1
        events = [(now, letter & known, event(now)) for now, letter in trace(random)]
        compiled = CompiledFormula(rule)
        fast, slow = compiled.start(), Monitor(compiled)
        assert not isinstance(fast, Monitor)
        for now, letter, one in events:
            fast.advance(now)
            fast.observe(letter, one)
            slow.observe(letter, one)
            assert fast.value == slow.value, (rule, events, now)
        later = events[-1][0] + random.choice([0, 0.5, 3, 20])
        for monitor in (fast, slow):
            monitor.advance(later)
        assert fast.value == slow.value, (rule, events, later)
        for monitor in (fast, slow):
            monitor.close(later)
        assert fast.value == slow.value, (rule, events, later)
        if fast.value is False and compiled.start().__class__ is ResponseMonitor:
            assert [one.at for one in fast.witness][:1] == [one.at for one in slow.witness][:1]
