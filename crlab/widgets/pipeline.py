"""The pipeline view: the picture, live, its boxes to be pressed.

The boxes are HTML; over each lies a transparent button in a grid of the same shape, so
that a box is clicked, tabbed to and pressed like any other button, without script.

Thread: as `view.py` says.
"""

from __future__ import annotations

from typing import Any

from crlab.model.escape import H, Markup, trusted
from crlab.views.pipeline import (
    TITLES,
    pipeline_boxes_html,
    pipeline_detail_html,
    pipeline_html,
    pipeline_text,
)
from crlab.views.state import STAGES, PipelineQuery, PipelineState
from crlab.widgets.view import Control, View
from crlab.widgets.view_source import PipelineSource

_OVERLAY = trusted(
    "<style>"
    ".crlab-pipe{position:relative;container-type:inline-size;max-width:1080px;overflow:visible}"
    ".crlab-pipe>.widget-html,.crlab-pipe>.widget-html>.widget-html-content{margin:0;width:100%}"
    ".crlab-pipe>.crlab-keys{position:absolute;inset:2px 3px auto 3px;display:grid;gap:28px 34px;"
    "grid-template-columns:repeat(4,minmax(0,1fr));grid-auto-rows:144px;margin:0;overflow:visible;"
    "pointer-events:none}"
    ".crlab-keys>.jupyter-button{pointer-events:auto;background:transparent;color:transparent;"
    "border:0;border-radius:9px;margin:0;width:auto;height:auto;box-shadow:none;opacity:1}"
    ".crlab-keys>.jupyter-button:hover{background:rgba(107,63,196,.07);color:transparent;"
    "box-shadow:0 0 0 1px #8257d6}"
    ".crlab-keys>.jupyter-button:focus-visible{outline:3px solid #8257d6;outline-offset:2px;"
    "background:transparent}"
    + "".join(
        f".crlab-keys>.crlab-key-{name}{{grid-area:{place}}}"
        for name, place in zip(
            STAGES, ("1/1", "1/2", "1/3", "1/4", "2/4", "2/3", "2/2", "2/1"), strict=True
        )
    )
    + "@container (max-width:600px){.crlab-pipe>.crlab-keys{gap:10px;"
    "grid-template-columns:repeat(2,minmax(0,1fr))}"
    ".crlab-keys>.jupyter-button.jupyter-button{grid-area:auto}}"
    "</style>"
)


class PipelineView(View):
    """One informer's pipeline; made by ``lab.pipeline()``.

    `boxes` maps stage names to the buttons over them; `lane`, `step_button` and
    `settle_button` are ipywidgets too.
    """

    kind = "Pipeline"
    _source: PipelineSource

    def __init__(
        self,
        source: PipelineSource,
        *,
        title: str,
        owner: object = None,
        lane: str = "",
        selected: str = "",
    ) -> None:
        super().__init__(source, title=title, owner=owner)
        self._lane = lane
        self._selected = selected
        self._moment: int | None = None
        self._buttons: dict[str, Any] = {}

    def _read(self) -> PipelineState:
        return self._source.pipeline_state(PipelineQuery(self._lane, self._selected, self._moment))

    def _text(self, state: PipelineState) -> str:
        return pipeline_text(state)

    def _html(self, state: PipelineState) -> Markup:
        return pipeline_html(state)

    # --- what users call ------------------------------------------------------------------

    def select(self, stage: str) -> None:
        """Open a box ("reflector", "workqueue", …); the same again, or "", closes it."""
        self._selected = "" if stage == self._selected else stage
        self._asked()

    def step(self) -> None:
        """Make one transition and wait for it (manual driver)."""
        self._perform("step", self._source.step)

    def settle(self) -> None:
        """Step until nothing moves, and wait for it."""
        self._perform("settle", self._source.settle)

    @property
    def boxes(self) -> dict[str, Any]:
        """The buttons over the boxes, by stage."""
        self._build()
        return self._buttons

    lane = Control("The drop-down of informers.")
    step_button = Control("The Step button.")
    settle_button = Control("The Settle button.")
    # --- widgets --------------------------------------------------------------------------

    def _controls(self) -> list[Any]:
        from crlab.widgets.control import button, choice

        state = self._current()
        boxes = self._boxes
        lanes = list(state.lanes) or [state.lane or self.title]
        boxes["lane"] = choice("Informer", lanes, self._choose_lane, width="300px")
        if state.lane in lanes:
            boxes["lane"].value = state.lane
        boxes["step_button"] = button(
            "Step",
            lambda: self._command("step", self._source.step),
            says="Make one transition anywhere in the pipeline",
            style="primary",
        )
        boxes["settle_button"] = button(
            "Settle",
            lambda: self._command("settle", self._source.settle),
            says="Step until nothing moves",
        )
        self._buttons.update({name: self._key(name) for name in STAGES})
        return [boxes["lane"], boxes["step_button"], boxes["settle_button"]]

    def _key(self, name: str) -> Any:
        from crlab.widgets.control import button

        made = button(TITLES[name], lambda: self.select(name), says=f"What is in {TITLES[name]}?")
        made.add_class(f"crlab-key-{name}")
        return made

    def _arrange(self, controls: list[Any], body: Any) -> list[Any]:
        from crlab.widgets.control import layer, pane, row

        self._panes["detail"] = pane()
        picture = layer([body, *self._buttons.values()], "crlab-pipe", "crlab-keys")
        style = pane(str(_OVERLAY))
        self._disposables += [style, self._panes["detail"]]
        return [row([*controls, self._panes["note"]]), style, picture, self._panes["detail"]]

    def _choose_lane(self, lane: str) -> None:
        self._lane = lane
        self._asked()

    def _draw(self, state: PipelineState) -> None:
        super()._draw(state)
        detail = H.section(
            pipeline_detail_html(state), cls="crlab", aria_label="What happened last"
        )
        self._put("detail", detail)

    def _fitted(self, state: PipelineState) -> Markup:
        return self._wrapped(pipeline_boxes_html(state))

    def _sync(self, state: PipelineState) -> None:
        from crlab.widgets.control import set_options

        if state.lanes:
            set_options(self._boxes["lane"], state.lanes)
        is_off = state.status.is_closed
        self._boxes["step_button"].disabled = is_off or "step" not in state.can
        self._boxes["settle_button"].disabled = is_off or "settle" not in state.can
