"""One run: `python -m cluster [--seed N] [--rounds N] [--keep FOLDER]`.

Starts a cluster and two sides, ours and the peer's, each with six streams, twelve publishers and
twelve readers; does to both at once what the plan says; prints what became of them. Exit code 1 if
anything of ours was lost, twice, late, or had to be restarted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError

from bench.hubs import SIDES, Side
from cluster.built import NoClusterError, binaries
from cluster.judge import Figures, Record, figures
from cluster.machines import Cluster, Process
from cluster.plan import Fault, lasts, plan
from cluster.report import report
from streamlib.errors import StreamUnavailableError
from streamlib.scenarios.program import run_program

STREAMS = 6
READS_ON = 240.0
"""Seconds that the programs may take for their end."""


@dataclass
class Run:
    """One run on a cluster that serves."""

    cluster: Cluster
    client: Client
    workers: list[Process] = field(default_factory=list[Process])

    async def figures(self, faults: Sequence[Fault]) -> dict[str, Figures]:
        """Let both sides run while the faults happen, and say what became of them."""
        hubs = {side.name: await self._start_hubs(side) for side in SIDES}
        port = str(self.cluster.port)
        every_hub = [hub for each in hubs.values() for hub in each]
        probe = await self._program("probe", "probe", port, *every_hub)
        loads = {
            name: await self._program(name, "load", name, port, *mine)
            for name, mine in hubs.items()
        }
        await self._torment(faults)
        print("all is well again; what is left is read", flush=True)
        ends = [load.end(within=READS_ON) for load in loads.values()]
        codes = dict(zip(loads, await asyncio.gather(*ends), strict=True))
        codes["probe"] = await probe.end()
        if failed := [name for name, code in codes.items() if code != 0]:
            raise NoClusterError(f"{failed} failed: see their logs, with --keep FOLDER")
        answers = self._seen("probe")
        return {
            name: figures(self._seen(name), [one for one in answers if one[1] in mine])
            for name, mine in hubs.items()
        }

    async def _start_hubs(self, side: Side) -> list[str]:
        """A worker, and its hubs; returns their ids when they answer."""
        port = str(self.cluster.port)
        worker = await self._program(f"{side.name}-worker", "worker", side.name, port, side.name)
        self.workers.append(worker)
        hubs = [f"{side.name}-{number}" for number in range(1, STREAMS + 1)]
        for hub in hubs:
            await self.client.start_workflow(side.hub.run, id=hub, task_queue=side.name)
        for hub in hubs:
            await _until_it_answers(side, self.client, hub)
        return hubs

    async def _program(self, name: str, *arguments: str) -> Process:
        command = [sys.executable, "-m", "cluster.programs", str(self._out(name)), *arguments]
        return await self.cluster.start_program(name, command)

    def _seen(self, name: str) -> list[Record]:
        """What a program has written down."""
        text = self._out(name).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def _out(self, name: str) -> Path:
        return self.cluster.folder / f"{name}.jsonl"

    async def _torment(self, faults: Sequence[Fault]) -> None:
        """Do what the plan says, when it says so."""
        began = time.monotonic()

        async def until(at: float) -> None:
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))

        for fault in faults:
            await until(fault.at)
            print(fault, flush=True)
            victims = (
                self.workers if fault.what == "kill workers" else [self.cluster.nodes[fault.node]]
            )
            for victim in victims:
                if fault.what == "freeze":
                    victim.freeze()
                else:
                    await victim.kill()
            await until(fault.until)
            for victim in victims:
                if fault.what == "freeze":
                    victim.thaw()
                else:
                    await victim.start()
        await until(lasts(list(faults)))


async def _until_it_answers(side: Side, client: Client, hub: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            await side.client.create(client, hub).get_offset()
            return
        except (StreamUnavailableError, RPCError) as error:
            if time.monotonic() > deadline:
                raise NoClusterError(f"{hub} does not answer: {error}") from error


async def main(seed: int, rounds: int, folder: Path) -> int:
    """One run; the exit code."""
    faults = plan(seed, rounds)
    made_of = await binaries()
    print(f"starting PostgreSQL and three nodes; seed {seed}", flush=True)
    async with Cluster.started(folder, made_of) as cluster:
        found = await Run(cluster, await cluster.connect()).figures(faults)
    print(report(found))
    wrong = found[SIDES[0].name].faults
    print(f"\nwrong: {'; '.join(wrong)}" if wrong else "\nevery property held")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="cluster", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--rounds", type=int, default=1, help="of eight faults, 160 s each")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for logs and what was seen")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="streamlib-cluster-") as throwaway:
        if asked.keep is not None:
            asked.keep.mkdir(parents=True)
        where = asked.keep or Path(throwaway)
        sys.exit(run_program(lambda: main(asked.seed, asked.rounds, where), name="cluster"))
