"""Decides about chaos experiments: targets, safety rules, steady-state hypothesis, halting, verdict.

Belongs here: values and pure functions, and what fault providers are asked to do, as values.
Does not belong here: injecting or reverting a fault. `cluster` does that.
May do I/O: no.

    approval             what a second person approved, and whether it still counts
    alerts               what tells that an experiment runs
    answers              the answers of a load as readings
    choice               which provider injects a fault
    error_budget         what an experiment may cost of an error budget
    comparison           an execution against the last one of the same experiment
    document_parts       faults, SLOs and checks of a document that nobody has checked yet
    experiment           the experiment as a value, and its written form
    experiment_reading   reads and writes experiments: YAML and plain data, all problems at once
    experiment_rules     the rules across the fields of an experiment
    experiment_states    the states of an experiment as a machine: event in, state and commands out
    fault_types          the ten fault types with their parameters
    graph                which service calls which, and how often
    halting              whether a hard limit ends the experiment now
    hypothesis           health checks, SLOs, halt conditions and load
    hypothesis_rules     refuses checks that could never fail, and limits that could never halt
    imports              reads experiments of Chaos Toolkit, Litmus and Chaos Mesh
    instants             points in time, as a file writes them
    journal              everything that the report of one execution is written from
    judge_experiment     judges a whole experiment at its end
    judge                judges ratios and health checks, and all SLOs together
    judge_value          judges one value: rank test, tolerance, noise, A/A check
    magnitude            how hard an experiment was on its target
    manifests            what a fault is in a cluster, as pure values
    observed             what was observed, cut into windows and samples
    operator_limits      what a fault may not ask of Litmus and Chaos Mesh
    pairs                the median of all differences between two windows
    permission           whether the rules of a team allow an experiment
    plan                 what an experiment would do, with every reason against it
    preflight            what a webhook is told right before the first fault
    price                what an experiment costs of an error budget, and when it burns too fast
    provider             what fault providers can do, and what they are asked to do
    rank_sum             the Mann-Whitney test, exact and corrected; Holm's method
    recovery             time to detect, time to recover, error budget spent
    rendering            each fault as what its provider is asked to do
    resilience           the resilience score of a service, and what was never tested
    safety               safety checks and the record of a decision
    student              the tail of Student's t distribution
    target               target selectors and the blast radius
    targets              targets resolved to pods or processes, and checked
    team_rules           the rules of a team about its experiments
    told_apart           what the tests of a suite say about its experiment
    time_windows         when experiments may run
    verdict              the table of verdicts
    windows              readings of the three windows
"""
