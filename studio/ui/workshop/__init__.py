"""What the tab Train is made of: data to learn from, what is asked of a training, its jobs."""
