"""What the law hides, and why: `words` finds children in a text, `policy` says what follows."""
