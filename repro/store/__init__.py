"""Storage: folders on any file system, leases, and the status files of runs."""
