"""A simulated world: host, clients, server, worker and network in one process, on one clock."""
