"""The interpolation tab, from what a visitor has set up to what is shown of it."""
