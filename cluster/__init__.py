"""WHERE: sweeps on any Ray cluster: submission, manifests, and a preflight check."""
