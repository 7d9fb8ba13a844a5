"""Writes results, suite runs and simulations as text: JUnit, Markdown, JSON values, SVG.

Belongs here: functions that take values and return text.
Does not belong here: reading or writing files, and any decision about a verdict (`model.verdict` has these).
May do I/O: no.

    comparison       what changed since the last run of an experiment
    event_page       an event-driven test as one HTML file
    event_svg        an event-driven test as a sequence diagram and a timeline
    event_test       the values that the report of an event-driven test is written from
    experiment       an experiment as one HTML file, and its journal as JSON values
    experiment_markdown  an experiment as Markdown, for Prefect
    experiment_svg   the timeline of an experiment as a picture
    html_page        the frame of a report: one self-contained file
    junit            a run as JUnit XML
    markdown         a run or a suite run as Markdown, for Prefect
    reference        the reference of the keys of suite files, as Markdown
    resilience       the resilience of services as one HTML file
    resilience_svg   the same as a picture
    run              the values that a report of one run is written from
    simulation       simulations as tables, Markdown and JSON values
    simulation_svg   simulations as a picture
    texts            escapes untrusted text
    toolkit_journal  the journal of an experiment in the format of Chaos Toolkit
"""
