"""Interfaces to kadr: the command line. No decision about relevance or law is made here."""
