"""A real Temporal cluster on this machine, tormented while streams run on it: `make cluster`.

    built      the server and its SQL tool, by Go, once; kept outside of the checkout
    machines   PostgreSQL and three nodes: started, killed, frozen, brought back, ended
    plan       what is done to whom, and when
    programs   what runs beside: a worker a side, publishers and readers, and the probe
    judge      from what they saw to figures, and what of it is wrong; pure
    __main__   one run of all that

Linux only: three nodes need three addresses of the loopback, and a name of their own.
"""
