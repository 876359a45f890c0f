"""`python -m bench.pictures`: take the pictures of the live view for `docs/`, light and dark.

The scene is a real stream: three publishers, a roll-over, a truncation under a reader, a lost
acknowledgement, and a slider that is about to cut more.
"""

from __future__ import annotations

from bench.report import ROOT
from bench.views import Stage, stage

DOCS = ROOT / "docs"
SCENE = """
hub, stream = await grown(12, rolls=1, keep=9)
ann = stream.subscribe()
bob = stream.subscribe("delta", from_offset=14)
carl = stream.subscribe(["status", "progress"], from_offset=4)
for _ in range(5):
    await anext(ann)
sensor = WorkflowStreamClient.create(session.client, hub.id)
for topic, values in [("delta", "abc"), ("status", "x"), ("progress", "ab"), ("delta", "abcd")]:
    for value in values:
        sensor.topic(topic).publish(value)
    await sensor.flush()
stream.topic("log").publish("checked")
stream.topic("log").publish("stored")
await stream.flush()
await hub.execute_update("truncate", 6)
"""
CELL = 'lab.view(stream, "tape", "readers", "playground", "dedup", "cost", "background")'


def play(it: Stage) -> None:
    """Bring the view into the state that the pictures show."""
    it.kernel(SCENE)
    it.page.evaluate(
        """(cell) => {
          const notebook = jupyterapp.shell.currentWidget.content;
          notebook.activeCell.model.sharedModel.setSource(cell);
        }""",
        CELL,
    )
    it.render()
    it.all_fetched()
    playground = it.page.get_by_role("form", name="Publish")
    playground.get_by_label("topic").fill("status")
    playground.get_by_label("text").fill("shipped")
    playground.get_by_label("lose the acknowledgement").check()
    playground.get_by_role("button", name="Publish").click()
    it.until("root.querySelector('[data-verdict=duplicate]')")
    it.page.get_by_label("Truncate up to offset").fill("12")


def main() -> None:
    """Take them."""
    with stage() as it:
        it.page.set_viewport_size({"width": 1180, "height": 1700})
        it.page.evaluate("() => { jupyterapp.commands.execute('application:toggle-left-area'); }")
        play(it)
        for name, theme in (("light", "JupyterLab Light"), ("dark", "JupyterLab Dark")):
            it.page.evaluate(
                "(theme) => { jupyterapp.commands.execute('apputils:change-theme', {theme}); }",
                theme,
            )
            it.until(f"root.dataset.theme === '{name}'")
            it.page.wait_for_timeout(1500)  # what fades has faded
            it.page.locator(".sv").screenshot(path=DOCS / f"view-{name}.png")


if __name__ == "__main__":
    main()
