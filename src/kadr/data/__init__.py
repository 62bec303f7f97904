"""The annotated archive: fetched, checked, its judgements made labels, or drawn."""

from typing import Literal, TypeAlias

Experts: TypeAlias = Literal["majority", "median", "mean", "dawid-skene"]
"""How the grades of several experts become one."""
Judges: TypeAlias = Literal["both", "experts", "crowd"]
"""Whose judgements are learned from."""
