"""WHERE: manifests that bring a sweep to a cluster, and what is wrong with an environment before a sweep finds out."""
