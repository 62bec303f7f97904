"""Folders in, answers out."""
