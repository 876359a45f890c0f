"""Ours beside the peer, `temporalio.contrib.workflow_streams`: same server, same run, interleaved.

    gates.py        pure: figures -> ratios -> verdicts -> tables
    quiet.py        pure: which repetitions to make, and which to count
    chart.py        pure: numbers -> SVG
    report.py       what a run leaves behind: the JSON file, the chart
    hubs.py         the two workflows, alike but for the stream they host
    worker.py       a worker process for one of them
    rig.py          server, workers, and what was spent: history, CPU, calls
    experiments.py  what is measured
    __main__.py     `python -m bench [--quick]`

Only the rig touches processes, and only its own.
"""
