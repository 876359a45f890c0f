"""Build your own log (notebook 09): the library's own tests, and a stream of the learner's parts.

    laws.py       what a log, a publishers' table and a cursor must do: random operations beside
                  the dumbest model there is; the smallest ones that go wrong
    picture.py    them as a sentence and a tape
    steps.py      the five steps of the notebook: which laws, of which file
    own.py        the learner's classes under a real stream, in a worker of their own
    worker.py     that worker; `own_workflows.py` and `broken_log.py` are put beside the classes

The library's own classes go through the same laws in `make test`.
"""
