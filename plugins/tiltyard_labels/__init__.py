"""Components of the labels plugin."""
