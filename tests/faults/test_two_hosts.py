"""A host vanishes, with the worker that had the stream: nothing is lost, the other takes over."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from tests.faults import hosts

pytestmark = [pytest.mark.server, pytest.mark.matrix, pytest.mark.timeout(180)]

MAY = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("ip") is not None


@pytest.mark.skipif(not MAY, reason="network namespaces need root, and `ip`, on Linux")
async def test_a_host_that_vanishes_loses_nothing_and_the_other_worker_takes_over() -> None:
    seen = await hosts.see()
    print(seen)
    assert (seen.lost, seen.twice, seen.skipped) == (0, 0, 0)
    assert seen.of_the_one_who_went > 20, "it had published before it went"
    assert seen.acknowledged > seen.of_the_one_who_went + 50
    assert 0.5 < seen.paused < 15, (
        "its task times out after ten seconds, the sticky queue after two"
    )
