"""The demo's last word: what somebody wants to know when the timeline has scrolled away."""

from collections.abc import Sequence

from labelbridge.local.demo_story import Story
from labelbridge.local.referee import Entry
from labelbridge.model import OperationKind, OperationResult, Studio


def summary(story: Story) -> list[tuple[str, str]]:
    """Name and value pairs of the summary table."""
    verdict = story.verdict
    assert verdict is not None
    log = story.evidence.log()
    last = story.results[-1][1]
    rows = [
        ("who labels now", f"{last.active.display_name} ({', '.join(story.labelers.people)})"),
        ("epochs", _epochs(story.results)),
        ("labels acknowledged", _acknowledged(story)),
        ("found / overwritten / lost", f"{verdict.found} / {verdict.superseded} / {len(verdict.lost)}"),
        ("both studios open", f"{len(verdict.both_open)} times" if verdict.both_open else "never"),
        ("writes refused by a gate", str(story.labelers.refusals)),
    ]
    rows += [(f"snapshot of {name}", _snapshot(result)) for name, result in story.results if result.snapshot]
    rows += [("model", _model(result)) for _, result in story.results if result.model]
    for name, result in story.results:
        if result.kind in (OperationKind.SWITCH, OperationKind.CONNECT):
            rows.append((f"labeling disabled by {name}", _disabled(result, log)))
    passed = sum(check.passed for check in story.checks)
    rows.append(("read back", f"{passed} of {len(story.checks)} checks passed"))
    return rows


def _epochs(results: Sequence[tuple[str, OperationResult]]) -> str:
    return ", ".join(f"{result.epoch} after {name}" for name, result in results)


def _acknowledged(story: Story) -> str:
    verdict = story.verdict
    assert verdict is not None
    by_studio = [
        f"{story.labelers.acknowledged(studio)} in {studio.display_name}"
        for studio in (Studio.LANGUAGE, Studio.AZUREML)
    ]
    return f"{verdict.acknowledged} writes: {', '.join(by_studio)}"


def _snapshot(result: OperationResult) -> str:
    snapshot = result.snapshot
    assert snapshot is not None
    text = f"{snapshot.id[:16]}… {snapshot.labels} labels in {snapshot.documents} documents"
    return f"{text}; merged: {result.merge.snapshot[:16]}…" if result.merge else text


def _model(result: OperationResult) -> str:
    model = result.model
    assert model is not None
    figures = ", ".join(f"{name} {value:.2f}" for name, value in sorted(model.evaluation.items()))
    return f"{model.label}, trained on snapshot {model.snapshot[:16]}…: {figures}"


def _disabled(result: OperationResult, log: Sequence[Entry]) -> str:
    """Measured twice: by the studios' log (when the gates took effect) and by the operation itself."""
    during = [e for e in log if result.started_at <= e.at <= result.ended_at]
    closed = next((e.at for e in during if e.event == "closed"), None)
    opened = next((e.at for e in reversed(during) if e.event == "opened"), None)
    seen = f"{(opened - closed).total_seconds():.1f} s by the studios' log" if closed and opened else "unseen"
    own = result.labels_disabled_seconds
    return f"{seen}, {own:.1f} s by the operation" if own is not None else seen
