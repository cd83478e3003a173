"""Pictures of our own whose factors are known: ray-marched signed distance fields."""
