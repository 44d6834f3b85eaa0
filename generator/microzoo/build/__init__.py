"""One spec through every stage: the only room that knows all the others."""
