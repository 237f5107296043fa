"""What `logging` does with a call, done by logly: routes, served handlers, `install`."""
