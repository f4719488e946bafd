"""The pages: what they show. What they know comes from `vigil.labels`."""
