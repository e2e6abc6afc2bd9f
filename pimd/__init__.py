"""pimd: a daemon that forms an encrypted mesh of nearby machines and serves it over JSON-RPC."""

__version__ = "0.2.0"
