"""The explorer: what a visitor has set up, the maps behind it, what the page shows of them."""
