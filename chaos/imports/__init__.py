"""Reads experiments of other tools. What maps is translated exactly; everything else is refused by name, with its path.

Nothing of a file is executed: functions are looked up in a table of names, programs and controls are refused.
May do I/O: no.

    argo               workflows of Argo that carry objects of Litmus
    assembling         what was read, put together as an experiment
    chaos_toolkit      a whole experiment of Chaos Toolkit
    collecting         problems and notes of one import, and the configuration of a file
    formats            which tool a file is from
    litmus_engine      a ChaosEngine
    litmus_faults      experiments of Litmus with their variables as faults
    litmus_probes      probes of Litmus as health checks
    mesh_faults        objects of Chaos Mesh as faults
    mesh_workflow      schedules, workflows and status checks of Chaos Mesh
    objects            objects of Kubernetes from one file
    quantities         numbers, durations, sizes and labels as other tools write them
    stages             what comes in turn and what is together
    toolkit_actions    actions of Chaos Toolkit as faults
    toolkit_pauses     how long a method of Chaos Toolkit waits
    toolkit_probes     probes of Chaos Toolkit as health checks
"""
