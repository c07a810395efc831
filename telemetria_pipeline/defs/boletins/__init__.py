"""The trip sheets that depots send."""
