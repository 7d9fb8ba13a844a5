"""Adapters of test tools, one module each: how to run the tool, what its requests need, how to read what it leaves.

Belongs here: the tools and their reports.
Does not belong here: starting processes (`cluster`), the verdict (`model.verdict`).
May do I/O: only on files that it is given; the programs run in the process of a test.

    tool                   the port: what Assay needs to know of a tool
    registry               which tool runs which type of test
    pytest_tool            pytest
    pytest_report          its report
    custom_tool            any program
    event_tool             event-driven tests
    junit                  reads JUnit XML
    identity               which test a result is of
    last_words             the last meaningful line of an output
    untrusted              reads what a test wrote

Programs that run in the process of a test:

    assay_pytest_plugin    reports each step of pytest
    event_program          an event test
    health_check_program   health checks of type command
"""
