"""Microzoo: constrained neural architecture search for microcontrollers, and the zoo of what it finds."""

__version__ = "0.1.0"
