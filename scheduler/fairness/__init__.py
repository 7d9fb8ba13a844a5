"""Compute fair shares (FAIR_SHARE): the formulas, without queue or nodes.

shares    dominant share, decayed usage, entry penalty
"""
