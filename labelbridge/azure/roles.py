"""Names and ids of the built-in roles that the preflight speaks of.

The ids are the role definition GUIDs of Azure's published list of built-in roles. Which of them let
somebody switch labeling is not published; the sets that we accept are settings (`AzureSettings`).
"""

STORAGE_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
STORAGE_BLOB_DATA_OWNER = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
STORAGE_BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
LANGUAGE_OWNER = "f07febfe-79bc-46b1-8b37-790e26e6e498"
LANGUAGE_WRITER = "f2310ca1-dc64-4889-bb49-c8e0fa3d47a8"
AZUREML_DATA_SCIENTIST = "f6c7c914-8db3-469d-8ca1-694a8f32e121"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"

ROLE_NAMES = {
    STORAGE_BLOB_DATA_CONTRIBUTOR: "Storage Blob Data Contributor",
    STORAGE_BLOB_DATA_OWNER: "Storage Blob Data Owner",
    STORAGE_BLOB_DATA_READER: "Storage Blob Data Reader",
    LANGUAGE_OWNER: "Cognitive Services Language Owner",
    LANGUAGE_WRITER: "Cognitive Services Language Writer",
    AZUREML_DATA_SCIENTIST: "AzureML Data Scientist",
    OWNER: "Owner",
    CONTRIBUTOR: "Contributor",
    READER: "Reader",
}
"""Role definition GUID -> the name that `az role assignment create --role` takes."""


def role_name(guid: str) -> str:
    """The role's name, or its GUID (which `az` takes as well) for a role that is not listed."""
    return ROLE_NAMES.get(guid.casefold(), guid)
