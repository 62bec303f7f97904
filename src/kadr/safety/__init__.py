"""What the law hides, and why."""
