"""One method table behind three RPC listeners: a Unix socket, HTTP and WebSocket."""
