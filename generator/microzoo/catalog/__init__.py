"""Write, read, verify and list the entries of the zoo."""
