"""Components of the torchattacks plugin."""
