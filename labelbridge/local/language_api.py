"""The routes of the Language part: the authoring API and the Language studio's label endpoints.

One table says each operation's method, path, handler and permission, so that who may do what can
be read in one place: Reader reads and exports, Writer changes but neither deletes nor deploys,
Owner does all (Azure's description of the three Language roles).
"""

from starlette.routing import BaseRoute

from labelbridge.local import language_measures, language_store
from labelbridge.local import language_models as models
from labelbridge.local import language_projects as projects
from labelbridge.local import language_training as training
from labelbridge.local import language_transfer as transfer
from labelbridge.local.context import Context
from labelbridge.local.language_call import Handler, routes
from labelbridge.local.language_jobs import Jobs
from labelbridge.local.language_studio import studio_routes
from labelbridge.local.rbac import Permission

P, MODEL, DEPLOYMENT = "/{project}", "/{project}/models/{label}", "/{project}/deployments/{deployment}"
AUTHORING: tuple[tuple[str, str, Handler, Permission], ...] = (
    ("GET", "", projects.list_projects, "language.read"),
    ("GET", "/global/languages", projects.list_languages, "language.read"),
    ("GET", "/global/training-config-versions", projects.list_config_versions, "language.read"),
    ("GET", "/global/deletion-jobs/{job}", projects.deletion_job, "language.read"),
    ("GET", P, projects.get_project, "language.read"),
    ("PATCH", P, projects.patch_project, "language.write"),
    ("DELETE", P, projects.delete_project, "language.delete"),
    ("POST", f"{P}/:export", transfer.export_project, "language.read"),
    ("GET", f"{P}/export/jobs/{{job}}", transfer.export_job, "language.read"),
    ("GET", f"{P}/export/jobs/{{job}}/result", transfer.export_result, "language.read"),
    ("POST", f"{P}/:import", transfer.import_project, "language.write"),
    ("GET", f"{P}/import/jobs/{{job}}", transfer.import_job, "language.read"),
    ("POST", f"{P}/:train", training.train, "language.write"),
    ("GET", f"{P}/train/jobs", training.train_jobs, "language.read"),
    ("GET", f"{P}/train/jobs/{{job}}", training.train_job, "language.read"),
    ("POST", f"{P}/train/jobs/{{job}}/:cancel", training.cancel_training, "language.write"),
    ("GET", f"{P}/models", models.list_models, "language.read"),
    ("GET", MODEL, models.get_model, "language.read"),
    ("DELETE", MODEL, models.delete_model, "language.delete"),
    ("GET", f"{MODEL}/evaluation/summary-result", models.evaluation_summary, "language.read"),
    ("GET", f"{MODEL}/evaluation/result", models.evaluation_result, "language.read"),
    ("POST", f"{MODEL}/:load-snapshot", transfer.load_snapshot, "language.write"),
    ("GET", f"{MODEL}/load-snapshot/jobs/{{job}}", transfer.load_snapshot_job, "language.read"),
    ("GET", f"{P}/deployments", models.list_deployments, "language.read"),
    ("POST", f"{P}/deployments/:swap", models.swap_deployments, "language.deploy"),
    ("GET", f"{P}/deployments/swap/jobs/{{job}}", models.deployment_job, "language.read"),
    ("GET", DEPLOYMENT, models.get_deployment, "language.read"),
    ("PUT", DEPLOYMENT, models.put_deployment, "language.deploy"),
    ("DELETE", DEPLOYMENT, models.delete_deployment, "language.delete"),
    ("GET", f"{DEPLOYMENT}/jobs/{{job}}", models.deployment_job, "language.read"),
)


def language_routes(context: Context) -> list[BaseRoute]:
    """All routes of this part; makes its tables and registers its queue with the server."""
    with context.state.read() as db:
        db.executescript(language_store.SCHEMA)
        db.executescript(language_measures.SCHEMA)
    jobs = Jobs(context.state, context.clock)
    jobs.effects = {
        "export": transfer.exporting(context),
        "import": transfer.importing(context),
        "load-snapshot": transfer.loading_snapshot(context),
        "train": training.training(context),
        "deploy": models.deploying(context),
        "undeploy": models.undeploying(context),
        "swap": models.swapping(context),
        "delete": projects.deletion(context),
    }
    context.background.append(jobs.run)
    return [*routes(context, jobs, AUTHORING), *studio_routes(context)]
