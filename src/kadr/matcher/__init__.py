"""Vectors of photos and texts -> the probability that they match, and why."""
