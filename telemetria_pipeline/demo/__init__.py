"""The product on an embedded default: simulated carriers, a folder lake, no service, no credential."""
