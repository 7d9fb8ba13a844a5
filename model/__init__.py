"""The values that all packages share, and the check of requests: `check(raw)` returns a value or raises all problems.

Belongs here: requests, definitions, executions, results, states, ids, and the rules that a single value must keep.
Does not belong here: anything that reads a clock, a file, a database or the network.
May do I/O: no. Imports no other package of ours.

    backoff           pauses between the tries of something that fails
    check             the check of a request, and the JSON schema of requests
    claims            what a run needs for itself, or shares with others
    command           how a tool is started, without a path of any machine
    config            how a run is executed: time limit, retries, node affinity, tolerations, volumes
    content           where the tests come from: git, inline files, a packed folder, an archive, a local folder
    cron              cron expressions: their check, and the days that they name
    definition        stored requests: owner, version, forms for database and files
    document          reads and writes YAML
    ending            how an attempt came to its end
    environment       settings that a process reads from environment variables
    examine           examines one test: plain data, fields, rules across fields
    execution         executions and attempts: states, reasons, transitions, verdicts
    fault             who is at fault: each ending with its verdict, exit code and state in Prefect
    fields            the field types of requests, with their limits
    file_examples     an example of each key of suite and test files
    file_schema       the JSON schemas of these files
    final_results     the results of an attempt, once its verdict is known
    forms             checks the form of single texts: label keys, paths, branches, repositories
    gate_request      what a run without details of its own asks of the gate
    ids               identifiers
    json_values       types of JSON data
    lenient           reads input that may be wrong, and never raises
    mask              hides the values of secrets in text and logs
    network           what a test may connect to from its pod
    notices           what processes tell each other, and subscribers later
    placement_rules   rules across the fields about nodes and other runs
    plain             reduces input to plain data that JSON and PostgreSQL can hold
    plural            numbers of things in words
    pod_policy        what a cluster allows the pods of tests
    pod_rules         rules across the fields that concern the pod of a test
    ports             protocols of the stores for logs, artifacts and secrets
    problems          problems with their paths
    provenance        what a run has run: commit or content, versions of tools
    quantity          Kubernetes quantities, exactly
    reading           reads plain data into a value, or finds all wrong fields
    recurrence        when a schedule is due
    references        what a request refers to outside of itself, also of a wrong one
    refused_keys      keys of a pod that no request may have, each with its reason
    request           the test request
    resources         CPU, memory, disk and GPUs
    result            results of single tests, reports, artifacts
    retry             the retry policy
    rules             rules across the fields of a request
    run_form          the written form of a run of any kind
    runs              runs of any kind
    schedule          schedules of suites
    schema            JSON schemas for people and forms
    secret            references to secrets in environment values
    suite             suites
    suite_rules       rules across the tests of a suite
    suite_windows     the windows of a suite with an experiment, and what its tests may ask for
    timezones         time zones, and when their clocks are changed
    verdict           the verdict of one attempt
    wording           error messages of pydantic in plain words
"""
