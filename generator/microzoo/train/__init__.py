"""Graph to torch module; training loops for CPU and GPU."""
