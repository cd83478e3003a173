"""Photographs to faces and back: detection, alignment, and the edit in the full-size photo."""
