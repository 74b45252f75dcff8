"""Components of the native plugin."""
