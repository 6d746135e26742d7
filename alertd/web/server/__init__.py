"""What every request passes: the listener, access, sessions, headers, and errors."""
