"""Where things lie: folders on any file system, leases, and the files by which a run says where it stands."""
