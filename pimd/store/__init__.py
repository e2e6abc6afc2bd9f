"""What survives a restart: databases, identities, keys, the configuration file."""
