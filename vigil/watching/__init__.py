"""What a served model sees and says: request logs, the reference, drift, and what to label next."""
