"""Which languages can be connected."""

import json
import os
from pathlib import Path

import pytest

from labelbridge.azure.languages import azureml_language, supported_languages


@pytest.mark.parametrize(
    ("code", "azureml"),
    [
        ("en", "eng"),
        ("en-us", "eng"),
        ("EN-US", "eng"),
        ("fr-fr", "fra"),
        ("pt-br", "por"),
        ("zh-hans", "zho"),
        ("nb", "nob"),
        ("lv", "lav"),
        ("mul", None),
        ("zu", None),
        ("", None),
        ("xx-yy", None),
    ],
)
def test_codes_with_a_region_fall_back_to_their_language(code: str, azureml: str | None) -> None:
    assert azureml_language(code) == azureml


def test_all_supported_languages_have_a_code_of_three_letters() -> None:
    codes = [azureml_language(code) for code in supported_languages()]
    assert len(codes) > 70
    assert all(code is not None and len(code) == 3 for code in codes)


def test_the_mapping_agrees_with_the_collected_facts() -> None:
    configured = os.environ.get("LABELBRIDGE_SHARED")
    shared = Path(configured) if configured else Path(__file__).resolve().parents[3] / "shared"
    file = shared / "azure" / "specs" / "languages" / "language_to_textdnn.json"
    if not file.exists():
        pytest.skip("no shared fixtures: set LABELBRIDGE_SHARED or have ../shared beside the repository")
    facts = json.loads(file.read_text())
    assert {code: azureml_language(code) for code in facts["supported"]} == facts["supported"]
    assert {azureml_language(code) for code in facts["unsupported"]} == {None}
    known = json.loads(file.with_name("textdnn_supported.json").read_text())["supported"]
    assert {azureml_language(code) for code in supported_languages()} <= known.keys()
