"""A library's memory: one engine a file, with all that is asked of it."""
