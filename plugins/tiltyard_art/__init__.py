"""Components of the art plugin."""
