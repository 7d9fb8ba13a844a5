"""Reads experiments of other tools. What maps is translated exactly; everything else is refused by name, with its path.

Nothing of a file is executed: functions are looked up in a table of names, programs and controls are refused.
May do I/O: no.

    chaos_toolkit      a whole experiment of Chaos Toolkit
    collecting         problems and notes of one import, and the configuration of a file
    toolkit_actions    its actions as faults
    toolkit_probes     its probes as health checks
"""
