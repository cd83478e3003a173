"""A face and its attributes: what is set up, what is made of it, what is shown."""
