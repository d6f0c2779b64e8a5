import pytest
from tests.console.conftest import api, browser, page
from tests.console import test_console as t
pytestmark = pytest.mark.daemon
@pytest.mark.parametrize("n", range(12))
def test_x(api, page, n):
    t.expect.set_options(timeout=15000)
    try:
        t.test_stream_is_started_paused_resumed_and_stopped_from_the_page(api, page)
    except AssertionError as e:
        print("FAILED", str(e)[:200])
        print(page.evaluate("performance.getEntriesByType('resource').slice(-14).map(e=>[Math.round(e.startTime),Math.round(e.responseEnd),e.responseStatus,e.name.slice(-45)].join(' ')).join('\\n')+'\\nnow '+performance.now()"))
        print(page.locator("body").inner_text())
        sid=page.locator(".streams li").first.get_attribute("data-sid")
        st=api.studio.stack.store.stream(sid)
        print("STORE", st.state, st.paused, st.history)
        print("\n".join(l[:220] for l in api.studio.stack.log.splitlines() if sid in l)[-3000:])
        raise
