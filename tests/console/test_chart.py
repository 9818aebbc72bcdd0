"""The chart's numbers, without the chart."""

import itertools
from datetime import UTC, datetime, timedelta

from labelbridge.console.chart import HEIGHT, MOST_LINES, REST, chart_of
from labelbridge.labels.manifest import Manifest
from labelbridge.model import ProjectKind

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def manifest(hour: int, counts: dict[str, int], *, side: str = "language", epoch: int = 0) -> Manifest:
    return Manifest(
        schema_version=1,
        id=f"{hour:064x}",
        sha256=f"{hour:064x}",
        project="contoso-1.tickets",
        kind=ProjectKind.MULTI_LABEL,
        side=side,
        epoch=epoch,
        unit="utf16",
        documents=sum(counts.values()),
        labels=sum(counts.values()),
        counts=counts,
        categories=tuple(counts),
        ontology="",
        rows=sum(counts.values()),
        quarantined=0,
        quarantined_codes={},
        source_etags={},
        tool_version="1",
        taken_at=NOON + timedelta(hours=hour),
    )


def test_one_snapshot_makes_no_chart() -> None:
    assert chart_of([manifest(0, {"Billing": 3})]) is None


def test_the_table_beside_the_chart_has_every_count_of_it() -> None:
    chart = chart_of([manifest(2, {"Billing": 5, "Praise": 1}), manifest(0, {"Billing": 2})])
    assert chart
    assert chart.columns == ("Taken (UTC)", "From", "Billing", "Praise")
    assert chart.rows == (
        ("2026-03-01 12:00", "language", "2", "0"),
        ("2026-03-01 14:00", "language", "5", "1"),
    )
    assert [[point.count for point in line.points] for line in chart.lines] == [[2, 5], [0, 1]]
    assert "from 2 to 6" in chart.summary


def test_more_labels_are_higher_and_later_ones_further_right() -> None:
    chart = chart_of([manifest(0, {"Billing": 2}), manifest(1, {"Billing": 8}), manifest(3, {"Billing": 4})])
    assert chart
    first, second, third = chart.lines[0].points
    assert first.x < second.x < third.x
    assert second.y < third.y < first.y
    assert third.x - second.x > second.x - first.x


def test_labels_that_a_gated_studio_held_are_not_on_the_chart() -> None:
    """A connect and each switch also keep what the studio held that was not active."""
    found = [
        manifest(0, {"Billing": 9}),
        manifest(1, {"Billing": 0}, side="azureml"),
        manifest(2, {"Billing": 4}, side="azureml", epoch=1),
        manifest(3, {"Billing": 1}, side="language", epoch=1),
        manifest(4, {"Billing": 11}, side="merged", epoch=1),
    ]
    chart = chart_of(found)
    assert chart
    assert [point.count for point in chart.lines[0].points] == [9, 4, 11]


def test_many_categories_become_a_few_lines_that_lose_no_label() -> None:
    last = {f"c{i:02}": 40 - i for i in range(30)}
    chart = chart_of([manifest(0, {"c00": 1}), manifest(1, last)])
    assert chart
    assert len(chart.lines) == MOST_LINES
    assert chart.lines[-1].name == REST
    assert sum(line.points[-1].count for line in chart.lines) == sum(last.values())


def test_a_category_of_that_name_is_not_taken_for_the_rest() -> None:
    counts = {REST: 50, **{f"c{i}": 10 - i for i in range(9)}}
    chart = chart_of([manifest(0, counts), manifest(1, counts)])
    assert chart
    assert len(chart.lines) == MOST_LINES
    assert (chart.lines[0].name, chart.lines[0].points[-1].count) == (REST, 50)
    assert sum(line.points[-1].count for line in chart.lines) == sum(counts.values())


def test_names_beside_the_lines_never_overlap() -> None:
    counts = dict.fromkeys(("a", "b", "c", "d", "e", "f"), 7)
    chart = chart_of([manifest(0, counts), manifest(1, counts)])
    assert chart
    places = sorted(line.name_y for line in chart.lines)
    assert all(b - a >= 13.9 for a, b in itertools.pairwise(places))
    assert places[-1] <= HEIGHT


def test_snapshots_of_one_moment_and_without_labels_can_be_drawn() -> None:
    chart = chart_of([manifest(0, {"Billing": 0}), manifest(0, {"Billing": 0})])
    assert chart
    assert all(0 <= point.y <= HEIGHT for point in chart.lines[0].points)
