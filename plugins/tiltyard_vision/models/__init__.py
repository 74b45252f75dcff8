"""Architectures without input normalisation; each one's last layer is called ``head``."""
