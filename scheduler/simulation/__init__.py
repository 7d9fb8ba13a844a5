"""Run the admission cycle in virtual time.

event_simulation    arrivals, starts and ends, from event to event
simulate            a whole trace under the settings of a pool
trace, csv_table    the files of a trace and its nodes
figures, report     what is computed of it, and what is shown
fragmentation       which part of the free capacity nobody could use
"""
