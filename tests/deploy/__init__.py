"""Tests of what is deployed: the proxy's rules, manifests, alerts."""
