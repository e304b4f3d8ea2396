"""The hostile corpus, rendered by a real browser: nothing runs, nothing grows."""

from __future__ import annotations

from typing import Any

import pytest
from support.hostile import corpus
from unit.views.test_hostile import PLACES

from crlab.views.style import style_sheet

COUNT = "() => document.querySelectorAll('*').length"


@pytest.mark.parametrize("place", PLACES)
def test_nothing_runs_and_no_element_is_new(chromium: Any, place: str) -> None:
    """As many elements as with a harmless string, for every string of the corpus."""
    render = PLACES[place][0]
    texts = [text[:2000] for text in corpus() if text.strip()]
    page = chromium.new_page()
    try:
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.set_content("<p></p>")
        empty = page.evaluate(COUNT)
        page.set_content(f"<p></p><div>{render('web')}</div>")
        each = page.evaluate(COUNT) - empty
        hostile = [render(text).replace(str(style_sheet()), "") for text in texts]
        each -= place == "page"  # its style sheet is left out, to save time
        page.set_content("<p></p>" + "".join(f"<div>{html}</div>" for html in hostile))
        page.mouse.move(200, 200)
        assert page.evaluate(COUNT) == empty + each * len(texts)
        assert page.evaluate("() => window.__crlab_x") is None
        assert not dialogs
        assert not [url for url in requests if not url.startswith("data:,")]
    finally:
        page.close()
