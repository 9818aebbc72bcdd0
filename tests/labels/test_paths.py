import pytest

from labelbridge.labels.codes import RejectedRowError
from labelbridge.labels.paths import candidates

LONG = "azureml://subscriptions/0-0/resourcegroups/rg/workspaces/ws/datastores/store/paths/"


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("AmlDatastore://store/a.txt", ("a.txt",)),
        ("amldatastore://STORE/dir/a.txt", ("dir/a.txt",)),
        ("azureml://datastores/store/paths/a.txt", ("a.txt",)),
        (LONG + "dir/a.txt", ("dir/a.txt",)),
        (LONG.replace("resourcegroups", "resourceGroups") + "a.txt", ("a.txt",)),
        (
            LONG.replace("workspaces", "providers/Microsoft.MachineLearningServices/workspaces") + "a.txt",
            ("a.txt",),
        ),
        ("AmlDatastore://store/Test 1.txt", ("Test 1.txt",)),
        ("AmlDatastore://store/Test%201.txt", ("Test%201.txt", "Test 1.txt")),
        ("AmlDatastore://store/a+b.txt", ("a+b.txt",)),
        ("AmlDatastore://store/100%.txt", ("100%.txt",)),
        ("AmlDatastore://store/a?b#c.txt", ("a?b#c.txt",)),
        ("AmlDatastore://store/a..b.txt", ("a..b.txt",)),
        ("AmlDatastore://store/a\nb.txt", ("a\nb.txt",)),
        ("AmlDatastore://store/名前.txt", ("名前.txt",)),
    ],
)
def test_every_spelling_of_a_documents_url_gives_its_name(url: str, names: tuple[str, ...]) -> None:
    assert candidates(url, "store") == names


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.txt",
        "/a.txt",
        "https://account.blob.core.windows.net/container/a.txt",
        "file:///etc/passwd",
        "AmlDatastore://other/a.txt",
        "azureml://datastores/other/paths/a.txt",
        "azureml://jobs/x/outputs/y/paths/a.txt",
        "AmlDatastore://store/",
        "AmlDatastore://store",
        "AmlDatastore:///a.txt",
        "AmlDatastore://store//a.txt",
        "AmlDatastore://store/../a.txt",
        "AmlDatastore://store/b/../../a.txt",
        "AmlDatastore://store/b/./a.txt",
        "AmlDatastore://store/..\\a.txt",
        "AmlDatastore://store/%2e%2e/a.txt",
        "AmlDatastore://store/..%2Fa.txt",
        "AmlDatastore://store/%2Fetc/passwd",
        "AmlDatastore://store/" + "a" * 1025,
    ],
)
def test_what_is_outside_the_datastore_is_refused(url: str) -> None:
    with pytest.raises(RejectedRowError) as caught:
        candidates(url, "store")
    assert caught.value.code == "path_outside_datastore"


def test_any_datastore_will_do_if_none_is_named() -> None:
    assert candidates("AmlDatastore://other/a.txt", None) == ("a.txt",)
