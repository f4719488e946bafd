"""Tests of request logs, references and drift."""
