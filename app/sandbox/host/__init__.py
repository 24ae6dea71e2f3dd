"""The server's side of the sandbox: the pool of workers, their channels, what is believed of their answers."""
