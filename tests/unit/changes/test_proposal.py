from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakwater_runtime.servers.changes import documents, proposal
from breakwater_runtime.servers.changes.errors import NotAcceptedError
from breakwater_runtime.servers.changes.folder import DOCUMENT_BYTES_MAX
from breakwater_runtime.servers.changes.proposal import Proposal

pytestmark = pytest.mark.requirement("T5", "T6")

LONG = "a" * 10_000_000


@pytest.mark.parametrize(
    ("wanted", "argument"),
    [
        pytest.param(Proposal("add", title=LONG), "title", id="long-title"),
        pytest.param(Proposal("add", title="two\nlines"), "title", id="two-line-title"),
        pytest.param(Proposal("add", title="two\u2028lines"), "title", id="unicode-line-title"),
        pytest.param(Proposal("add", title="\x1b[2J"), "title", id="terminal-escape"),
        pytest.param(Proposal("add", why=LONG), "why", id="long-text"),
        pytest.param(Proposal("add", why="\0"), "why", id="nul"),
        pytest.param(Proposal("add", what_changes="\ud800"), "whatChanges", id="half-a-surrogate"),
        pytest.param(Proposal("add", design=LONG), "design", id="long-design"),
        pytest.param(Proposal("add", tasks=["a"] * 201), "tasks", id="many-tasks"),
        pytest.param(Proposal("add", tasks=["fine", "a\n- [x] b"]), "tasks[1]", id="task-in-task"),
        pytest.param(Proposal("add", tasks=[" "]), "tasks[0]", id="empty-task"),
        pytest.param(Proposal("add", tasks=[LONG]), "tasks[0]", id="long-task"),
        pytest.param(Proposal("add", deltas={"../../etc": "a"}), "deltas", id="capability-out"),
        pytest.param(Proposal("add", deltas={LONG: "a"}), "deltas", id="long-capability"),
        pytest.param(Proposal("add", deltas={"auth": ""}), "deltas[auth]", id="empty-delta"),
        pytest.param(Proposal("add", deltas={"auth": LONG}), "deltas[auth]", id="long-delta"),
        pytest.param(
            Proposal("add", deltas={f"a{number}": "a" for number in range(51)}),
            "deltas",
            id="many-deltas",
        ),
        pytest.param(
            Proposal("add", deltas={f"a{number}": "a" * 99_000 for number in range(11)}),
            "the texts",
            id="much-together",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_by_argument(wanted: Proposal, argument: str) -> None:
    with pytest.raises(NotAcceptedError) as refused:
        wanted.check()

    assert str(refused.value).startswith(argument)
    assert len(str(refused.value)) < 700


@given(st.text(alphabet="ab\U0001f600é\n# -[]x`~", max_size=300))
def test_what_is_accepted_can_be_read_back(text: str) -> None:
    wanted = Proposal("add", why=text, design=text)
    wanted.check()

    for written in documents.rendered(wanted).values():
        assert written.endswith("\n")
        assert len(written.encode()) < DOCUMENT_BYTES_MAX


def test_the_longest_texts_make_documents_that_can_be_read_back() -> None:
    widest = "\U0001f600"
    wanted = Proposal(
        "a" * 64,
        title=widest * proposal.TITLE_LENGTH_MAX,
        why=widest * proposal.TEXT_LENGTH_MAX,
        what_changes=widest * proposal.TEXT_LENGTH_MAX,
        tasks=[widest * proposal.TASK_LENGTH_MAX] * proposal.TASKS_MAX,
    )
    wanted.check()

    sizes = [len(text.encode()) for text in documents.rendered(wanted).values()]

    assert max(sizes) < DOCUMENT_BYTES_MAX
