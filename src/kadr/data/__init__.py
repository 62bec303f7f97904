"""The annotated archive: fetched, checked, its judgements made labels, or drawn."""
