"""The framework for tests of event-driven systems: it consumes events and checks assertions about them.

Belongs here: everything between a message broker and a verdict about its events.
Does not belong here: SQL, Prefect, and the way of an event test through the queue.
May do I/O: only `brokers`, `registry`, `consumer`, the triggers, `recording`, `run`, `tail` and the pytest plugin. The
rest is pure: time is an argument.

The public names are `events.driven_test.EventDrivenTest`, `events.consumer.EventConsumer`,
`events.assertions.occurrences.EventAssertion` and `events.matcher.EventMatcher`. `docs/events.md` is their guide.

Events:

    event               one record of a topic, decoded once
    brokers             the port of brokers, and its implementations
    registry            payloads with a registered schema
    json_text           JSON, read strictly
    decoding            records to events: JSON, registered schemas, CloudEvents
    consumer            reads topics in a thread of its own
    arrival             the order of records that arrive together
    recording           events as lines of JSON
    tail                follows topics without a test

What is asked of them:

    pattern             what an event must be like
    matcher             matches events, and explains near misses
    subset              a JSON value that another one must contain
    paths               JMESPath on events
    keys                by which events belong together
    scope               which events belong to the test
    schemas             JSON Schema on every event
    asyncapi            the schemas of an AsyncAPI document
    assertions          assertions over a stream
    temporal            rules over time, and causality
    checkers            histories of producers and consumers
    outcomes            what an assertion says

A test:

    driven_test         subscribe, trigger, judge, close everything
    triggers            what sets off the events
    http_body           the answer of a service, whole and in time
    command_trigger     runs a program
    deployment_trigger  starts a Prefect deployment
    chaos               the port of chaos that a test carries
    faults              faults of its broker
    experiments         an experiment of the chaos engine
    phases              what held before, during and after

Its file:

    form                the file of a test, and its check
    form_rules          the rules across its parts
    form_shape          what else is wrong if its shape is
    assertion_form      the form of assertions
    trigger_form        the form of triggers
    chaos_form          the form of chaos
    documents           other files that it names

How it is run, and what it leaves:

    run                 `python -m events.run FILE`
    endings             how that ends, and what it leaves
    pytest_plugin       the fixture `event_stream`
    results             the result for people and programs
    junit               the result as JUnit XML
    html                the result as a page
"""
