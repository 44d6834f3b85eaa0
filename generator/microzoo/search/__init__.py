"""Aging evolution under hard limits: candidates, fitness, history, executors. Knows nothing of how a candidate is trained."""
