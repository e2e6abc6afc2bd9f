"""One method table behind three doors: a Unix socket, HTTP and WebSocket."""
