"""What a connect leaves behind in Azure ML."""

from labelbridge.azure.session import AzureSession
from tests.operations.conftest import NewRehearsal


async def test_instructions_are_linked_to_the_labeling_job_and_are_none_of_its_documents(
    new_rehearsal: NewRehearsal,
) -> None:
    r = new_rehearsal(documents=6, labelled=4)
    await r.bridge.connect_project(r.ref, job=r.job_name, instructions="Mark what is named.", timeout=300)
    async with AzureSession(r.bridge.settings) as session:
        job = await session.workspace(r.evidence.job.workspace).job(r.job_name)
    assert job is not None
    assert job.instructions_uri is not None
    assert "/instructions-" in job.instructions_uri
    assert job.total == 6
