"""Components of the vision plugin."""
