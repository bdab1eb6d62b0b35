"""WHERE: sweeps on any Ray cluster: submitted to one, manifests for one, and what is wrong with one."""
