"""Ranking and calibration figures, and how sure they are; no plots.

Arrays that don't fit each other, are empty or hold NaN raise ValueError. A figure that the data
leaves undefined (one class only, all scores tied for a tau) is NaN, never a made-up number.
"""
