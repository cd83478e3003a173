"""The page: tabs, their pieces, and the HTTP endpoints. Nothing below imports it."""
