"""A photo as a file: found, read safely, what it says of itself, written whole."""
