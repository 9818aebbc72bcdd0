"""Which histories are recorded: lives of projects, each a chain of operations that end as they are to.

Prevents a recording that differs from the last one in more than its ids: every scene has a name, an ending
and the activity during which it is stopped. `test_histories.py` says which are missing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    ProjectKind,
    ReconcileRequest,
    Request,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from tests.replay.endings import Ending
from tests.replay.subject import Subject

PLAIN, PARTS = "replay", "replay-parts"
"""Task queues: of workers as they are by default, and of workers that read labels in parts."""
C, R, B = Ending.COMMITTED, Ending.REFUSED, Ending.ROLLED_BACK
X, L = Ending.CANCELLED, Ending.COMPLETED
T, TL = Ending.TERMINATED, Ending.TERMINATED_LATE
STOPPED_DURING = {
    "connect": "job_state",
    "switch to language": "verify_language",
    "switch to azureml": "put_labelled_asset",
    "sync": "verify_language",
    "train": "watch_training",
    "import": "verify_language",
    "disconnect": "verify_language",
    "reconcile": "find_drift",
}
"""The activity during which each is stopped before its commit: as many undos as possible stand by then."""


@dataclass(frozen=True)
class Scene:
    """One operation and its end."""

    name: str
    ask: str
    request: Callable[[Subject], Request]
    ending: Ending = C
    label_in: Studio | None = None
    """Before it somebody labels there, so that there is something to carry."""
    drifted: bool = False
    """Before it somebody swapped both gates by hand."""
    new_job: bool = False
    cancel_recovery: bool = False

    @property
    def during(self) -> str:
        """The activity during which it is stopped, unless that is after its commit and not at its end."""
        return "announce" if self.ending is L else STOPPED_DURING[self.ask]


def connect(ending: Ending, name: str = "", **more: Any) -> Scene:
    return Scene(
        name,
        "connect",
        lambda s: ConnectRequest(job=s.bench.job, instructions="Mark what is named.", vendor="Fabrikam"),
        ending,
        **more,
    )


def switch(to: Studio, ending: Ending, name: str = "", **fields: Any) -> Scene:
    label_in = Studio.AZUREML if to is Studio.LANGUAGE else None
    request = SwitchRequest(to=to, **fields)
    return Scene(name, f"switch to {to}", lambda _: request, ending, label_in=label_in)


def sync(ending: Ending, name: str = "", label_in: Studio | None = None, **fields: Any) -> Scene:
    return Scene(name, "sync", lambda _: SyncRequest(**fields), ending, label_in=label_in)


def train(ending: Ending, name: str = "", label_in: Studio | None = None, **fields: Any) -> Scene:
    return Scene(
        name, "train", lambda s: TrainRequest(model=s.next_model(), **fields), ending, label_in=label_in
    )


def train_on_last_sync(ending: Ending, name: str) -> Scene:
    return Scene(
        name,
        "train",
        lambda s: TrainRequest(model=s.next_model(), labels=s.last_sync()),
        ending,
        label_in=Studio.AZUREML,
    )


def bring(ending: Ending, name: str = "", **fields: Any) -> Scene:
    return Scene(name, "import", lambda s: s.import_request(**fields), ending)


def disconnect(ending: Ending, name: str = "", labels: str | None = "sync", **fields: Any) -> Scene:
    request = DisconnectRequest.model_validate({"labels": labels, **fields})
    return Scene(name, "disconnect", lambda _: request, ending)


def reconcile(ending: Ending, name: str = "", *, drifted: bool = False, policy: str | None = None) -> Scene:
    request = ReconcileRequest.model_validate({"policy": policy})
    return Scene(name, "reconcile", lambda _: request, ending, drifted=drifted)


A, G = Studio.AZUREML, Studio.LANGUAGE


@dataclass(frozen=True)
class Life:
    """A project and what it lives through; scenes without a name only lead to the next."""

    kind: ProjectKind
    scenes: tuple[Scene, ...]
    exists: bool = True
    queue: str = PLAIN
    entity: str = ""
    """Name under which its entity's runs are kept."""
    continue_after: int | None = None


ENTITIES, MULTI, SINGLE = ProjectKind.ENTITIES, ProjectKind.MULTI_LABEL, ProjectKind.SINGLE_LABEL
LIVES: tuple[Life, ...] = (
    Life(
        SINGLE,
        (
            connect(R, "connect refused"),
            connect(B, "connect rolled back"),
            connect(X, "connect cancelled", new_job=True),
            connect(T, "connect terminated", new_job=True),
            connect(L, "connect completed", new_job=True),
            sync(R, "sync refused"),
            disconnect(C, "disconnect with language active", labels=None),
            reconcile(C, "reconcile an unconnected project"),
            train(C, "train an unconnected project"),
        ),
    ),
    Life(
        ENTITIES,
        (
            connect(C, "connect"),
            sync(C, "sync with language active", allow_quarantine=True),
            reconcile(C, "reconcile swapped gates", drifted=True, policy="close"),
            reconcile(L, "reconcile completed", drifted=True, policy="close"),
            reconcile(T, "reconcile terminated"),
            train(C, "train with language active", labels="as-is", deployment="production"),
            switch(A, R, "to azureml refused"),
            switch(A, B, "to azureml rolled back"),
            switch(A, X, "to azureml cancelled"),
            replace(switch(A, T, "to azureml terminated"), cancel_recovery=True),
            switch(A, C, "to azureml"),
        ),
        entity="project",
        continue_after=4,
    ),
    Life(
        MULTI,
        (
            connect(C),
            switch(A, L, "to azureml completed", policy="union"),
            sync(C, "sync with azureml active", label_in=A, policy="refuse", split="keep"),
            sync(C, "sync merging", label_in=A, merge=True, policy="union", split="service"),
            sync(B, "sync rolled back", label_in=A),
            sync(X, "sync cancelled", label_in=A),
            sync(T, "sync terminated", label_in=A),
            sync(L, "sync completed", label_in=A),
            reconcile(C, "reconcile with azureml active"),
        ),
    ),
    Life(
        ENTITIES,
        (
            connect(C),
            switch(A, TL, "to azureml terminated late"),
            switch(G, R, "to language refused"),
            switch(G, B, "to language rolled back"),
            switch(G, X, "to language cancelled"),
            switch(G, T, "to language terminated"),
            switch(G, L, "to language completed", split="keep", allow_quarantine=True),
            switch(A, C),
            switch(G, C, "to language", policy="refuse", split="service"),
            # What this leaves is found by the sweep.
            reconcile(C, "reconcile reporting", drifted=True, policy="report"),
        ),
    ),
    Life(
        SINGLE,
        (
            connect(C),
            switch(A, C),
            sync(C, label_in=A),
            sync(C, label_in=A),
            train_on_last_sync(C, "train on a snapshot"),
            train(R, "train refused"),
            train(
                C,
                "train with azureml active",
                label_in=A,
                split="keep",
                train_percent=50,
                allow_quarantine=True,
            ),
            train(B, "train rolled back", label_in=A, split="service"),
            train(X, "train cancelled"),
            train(T, "train terminated"),
            train(L, "train completed", deployment="production"),
            switch(G, TL, "to language terminated late"),
        ),
    ),
    Life(
        MULTI,
        (
            connect(C),
            switch(A, C),
            disconnect(R, "disconnect refused"),
            disconnect(B, "disconnect rolled back", policy="refuse", split="keep"),
            disconnect(X, "disconnect cancelled"),
            disconnect(T, "disconnect terminated"),
            disconnect(
                C, "disconnect carrying labels", policy="union", split="service", allow_quarantine=True
            ),
        ),
    ),
    Life(
        ENTITIES,
        (
            connect(TL, "connect terminated late"),
            switch(A, C),
            disconnect(L, "disconnect discarding", "discard"),
        ),
    ),
    Life(SINGLE, (connect(C), switch(A, C), disconnect(TL, "disconnect terminated late"))),
    Life(
        ENTITIES,
        (
            reconcile(R, "reconcile refused"),
            bring(R, "import refused"),
            bring(B, "import rolled back"),
        ),
        exists=False,
        entity="project without a project",
    ),
    # Language takes no name again that a deleted project had.
    Life(MULTI, (bring(X, "import cancelled"),), exists=False),
    Life(SINGLE, (bring(T, "import terminated"),), exists=False),
    Life(SINGLE, (bring(C, "import"),), exists=False),
    Life(MULTI, (bring(L, "import in parts", allow_quarantine=True),), exists=False, queue=PARTS),
    Life(MULTI, (connect(C), switch(A, C), sync(C, "sync in parts", label_in=A)), queue=PARTS),
)
