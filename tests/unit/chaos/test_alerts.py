"""The alerts that say that an experiment runs, and those of others that began meanwhile."""

from datetime import timedelta

from harness.chaos_readings import NOON, second
from harness.journals import journal

from chaos.alerts import NAME, Alert, Firing, about, alert_json, alerts_of, new_since
from chaos.observed import Span
from chaos.targets import Resolution, Target


def resolution(*services: str, callers: tuple[str, ...] = ()) -> Resolution:
    targets = tuple(Target(place="shop", service=one, name=one, identity="u") for one in services)
    return Resolution(targets=targets, of=len(targets), callers=callers, traffic_share=None, problems=())


def told(*services: str, since: float = 0, until: float = 60) -> tuple[Alert, ...]:
    span = Span(begins=second(since), ends=second(until))
    return alerts_of(journal().experiment, resolution(*services), "e1", span)


def firing(name: str, **labels: str) -> Firing:
    return Firing(fingerprint=f"{name}{labels}", labels={"alertname": name, **labels}, starts_at=NOON)


def test_each_service_has_an_alert_whose_labels_are_the_same_until_it_ends() -> None:
    begun, over = told("payments", "orders", "payments"), told("orders", "payments", until=90)

    assert [one.labels["service"] for one in begun] == ["orders", "payments"]
    assert [one.labels for one in begun] == [one.labels for one in over]
    assert begun[0].labels | {"alertname": NAME, "severity": "info", "environment": "shop"} == begun[0].labels
    assert "assay chaos abort e1" in begun[0].annotations["description"]


def test_an_alert_has_times_with_their_zone() -> None:
    sent = alert_json(told("orders")[0])

    assert (sent["startsAt"], sent["endsAt"]) == (NOON.isoformat(), (NOON + timedelta(seconds=60)).isoformat())
    assert str(sent["startsAt"]).endswith("+00:00")


def test_alerts_of_others_are_about_the_targets_or_their_callers_if_any_label_names_one() -> None:
    seen = [
        firing("Slow", app="orders"),
        firing("Down", service="payments"),
        firing("Other", service="inventory"),
        firing(NAME, service="payments"),
    ]

    assert [one.name for one in about(seen, resolution("payments", callers=("orders",)))] == ["Down", "Slow"]


def test_only_what_began_meanwhile_is_new() -> None:
    old, new = firing("Old"), firing("New")

    assert new_since([old], [old, new]) == (new,)
    assert firing("").name == ""
