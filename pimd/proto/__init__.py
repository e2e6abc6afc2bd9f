"""The PIM link protocol version 2, sans-IO: bytes and `now` in, bytes and events out."""
