"""Estimate when waiting runs will start.

question    what is asked of a pool, and what one possible future answers
scenarios   one possible future: the plan run forward with durations and newcomers that are drawn
estimate    what many scenarios say together
history     how long runs of a kind take
arrivals    who came lately, and is drawn again
"""
