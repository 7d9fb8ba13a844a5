"""What a second person is shown before an approval."""

from chaos.experiment_reading import check_experiment, experiment_to_raw
from cli.chaos_approvals import what_is_approved


def test_a_second_person_sees_the_hypothesis_the_load_test_and_the_commands() -> None:
    definition = experiment_to_raw(
        check_experiment(
            {
                "name": "payments is killed",
                "fault": {"type": "pod-kill"},
                "target": {"environment": "shop", "service": "payments"},
                "hypothesis": {
                    "title": "Orders are placed",
                    "healthChecks": [
                        {"name": "port", "type": "tcp", "host": "127.0.0.1", "port": 8101},
                        {"name": "stock", "type": "command", "command": ["sh", "-c", "check stock"]},
                    ],
                },
                "load": {"test": "buyers"},
                "durationSeconds": 60,
                "haltConditions": [{"healthCheck": "stock"}],
            }
        )
    )

    assert list(what_is_approved(definition, "sha256:1")) == [
        "payments is killed, at environment shop service payments (sha256:1)",
        "  hypothesis: Orders are placed",
        "  pod-kill for 60 s (once False)",
        "  load: the test 'buyers', in its newest version when the baseline begins",
        "  health check 'stock' runs: sh -c 'check stock'",
    ]
