"""The figures as tables, for a terminal and for Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cluster.judge import LATE, Figures


def report(sides: Mapping[str, Figures]) -> str:
    """What became of each side, and of each of its streams."""
    rows = [
        ("items acknowledged", [f"{side.acknowledged:,}" for side in sides.values()]),
        ("lost", [str(side.lost) for side in sides.values()]),
        ("twice", [str(side.twice) for side in sides.values()]),
        ("deliveries missing a minute after the end", [str(s.unread) for s in sides.values()]),
        (
            f"deliveries later than {LATE:g} s while the server was up",
            [str(s.late) for s in sides.values()],
        ),
        ("readers restarted", [str(side.readers_restarted) for side in sides.values()]),
        ("flushes raised", [str(side.flushes_raised) for side in sides.values()]),
        ("delivery, median", [f"{side.delivery * 1000:.0f} ms" for side in sides.values()]),
    ]
    return "\n".join(
        [
            *_table(["", *sides], [[name, *cells] for name, cells in rows]),
            "",
            *_table(
                ["stream", "server's own gap", "a reader's", "latest while the server was up"],
                [
                    [
                        name,
                        *(f"{value:.1f} s" for value in (one.server_gap, one.reader_gap, one.late)),
                    ]
                    for side in sides.values()
                    for name, one in side.streams.items()
                ],
            ),
        ]
    )


def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: list[str]) -> str:
        return (
            "| "
            + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            + " |"
        )

    yield line(head)
    yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    yield from map(line, rows)
