"""What `assay chaos deploy` says about whose rules hold."""

from cli.deploying import whose_rules


def test_a_deployment_of_an_experiment_says_whose_rules_hold_and_how_to_bind_it() -> None:
    said = whose_rules("chaos-experiment/game day")

    assert "its runs count for the user prefect, and only the rules of the team of prefect hold" in said
    assert '`PUT /api/v1/deployments/chaos-experiment/game%20day/user` with {"user": NAME}' in said
