"""Training: the one loop, the request, and runs that resume exactly."""
