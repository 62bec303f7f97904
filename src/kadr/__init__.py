"""kadr finds the photo you describe, and says how sure it is."""
