"""Flows of a data scientist: train, evaluate, compare, score."""
