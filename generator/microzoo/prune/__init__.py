"""Structured pruning during training, and the shrink that really removes channels."""
