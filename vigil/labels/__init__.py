"""Labels by people: append-only votes in a database, consensus computed from them, snapshots."""
