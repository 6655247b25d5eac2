"""Builds the images: `python -m dev.images --help`."""
