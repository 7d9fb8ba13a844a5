"""The REST API: /api/v1, problem details (RFC 9457), server-sent events.

Belongs here: routes, request parameters, response bodies, and the wiring of the API process (stores, clock, settings).
Does not belong here: decisions about runs (`orchestrator` and the pure packages have these), SQL, Prefect. A route
calls one use case and returns its result. No route starts a flow: the workers do that.
May do I/O: yes.

    __main__              runs the API process
    app                   builds the application
    auth                  the API keys and the user of a request
    bodies                parses JSON bodies strictly
    chaos                 experiments and their executions
    chaos_approvals       approvals of executions by a second person
    chaos_connections     what experiments ask: Prometheus, incident services, webhooks
    chaos_schemas         response bodies about experiments
    chaos_score           the resilience of services
    chaos_switch          the stop switch, and cordoned targets
    checked               checks a body before it is queued
    clusters              Kubernetes clusters
    content               uploads of packed folders
    deployments           the users of Prefect deployments; the check of a request without running it
    examples              examples of bodies, for the documentation
    executions            tests: submit, show, cancel, retry, metrics
    execution_list        the list of tests and its filters
    explanation           why a run waits, or why it was admitted
    explanation_schemas   response bodies of `explanation`
    forecasts             the calibration of forecasts
    guard                 refuses other origins, other host names and large bodies
    limits                quotas and pools
    logs                  reads and streams logs
    members               users and teams
    nodes                 the nodes of a pool
    openapi               the OpenAPI document
    operations_schemas    response bodies about queue, nodes, quotas, pools and statistics
    outcomes              results and artifacts
    pages                 /docs and /redoc
    parameters            parameters that several routes share
    problems              maps errors to problem details
    queue                 the queue of a pool
    quota_refusal         the response to a submit beyond a daily quota
    responses             builds response bodies from the values of the use cases
    runs                  runs of every kind
    schemas               response bodies about tests
    secrets               references to secrets
    services              what a request may use: stores, clock, random numbers
    settings              settings of the API process
    statistics            statistics and flaky tests
    suite_schemas         response bodies about suite runs
    suites                suite runs
    system                the health check
    team_rules            the rules of a team about its experiments
    user_keys             keys of persons
"""
