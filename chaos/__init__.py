"""Decides about experiments: targets, safety rules, hypothesis, verdict, ranking. Pure.

Does not: inject anything (cluster does). Empty until the chaos engine's issue.
"""
