"""vigil: from CCTV footage to a served, measured recognizer of abnormal behavior."""
