"""Pure functions Graph -> Resources: peak memory with operator order, flash, MACs. Everything here is 'predicted'."""
