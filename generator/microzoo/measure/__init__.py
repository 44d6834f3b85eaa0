"""Figures read from the exported bytes in real runtimes, and the verdict against the target."""
