"""Use cases, one function each, called by both doors: submit, cancel, retry, list, explain, set quota.

Belongs here: what a door asks for, in one transaction or several. Values and a database connection in, values out.
Does not belong here: HTTP, Prefect, SQL, and decisions that need no row (the pure packages have these).
May do I/O: only through `db`, and through functions that it is given.

Runs of every kind:

    kinds                what each kind of run does when it is asked
    submission           what is submitted, and what comes of it
    checking             the check of requests and suites, with the rules of all tools
    references           what else a refusal must say: secrets and contents that are not there
    submit_feasibility   what can never run in its pool
    cancel               cancels a run
    retry                runs the same definition again
    listing              lists of runs, and one run
    explaining           why a run waits, and what was said to it
    tags                 the tags of a run on Prefect's pages
    gate_runs            runs that need no node

Tests and suites:

    submit               submits a test
    content              packed folders that a test may name
    lifecycle            the way of an admitted run through its attempts
    suites               submits a suite; its verdict
    shown_suite          a suite run for people
    suite_experiments    suites that carry an experiment
    suite_claims         what their tests claim once it has ended

The gate:

    admission            makes a pass
    claiming             what runs claim
    place_releases       runs that end in one transaction
    lost_nodes           runs whose node has no live worker
    arrivals             who came to a pool lately
    forecasts            the forecasts of a pool
    pools                shows, makes and changes pools
    quota                shows and changes quotas
    ceilings             sums that may be in use at once, as people write them

Experiments:

    experiments          submits and ends experiments, and all between
    experiment_targets   looks for the targets before the submit
    companions           the test runs that an experiment starts
    chaos_permission     what the rules of a team say about an execution
    approvals            a second person approves or denies
    chaos_forms          what is sent to stop experiments and to cordon targets
    game_days            earlier executions of an experiment
    resilience           the resilience scores of services

People and places:

    members              users and teams
    user_keys            keys of persons
    secrets              references to secrets
    clusters             what the row of a cluster may say
    cluster_settings     what a backend needs of it
"""
