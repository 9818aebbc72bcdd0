"""The steps with effects, one module per kind of step; `all_activities` is what a worker registers."""

from collections.abc import Callable
from typing import Any

from activities.connections import Connections
from activities.conversions import Conversions
from activities.deliveries import Deliveries
from activities.exports import Exports
from activities.gates import Gates
from activities.imports import Imports
from activities.preflight import Preflights
from activities.records import Records
from activities.training import Training
from labelbridge.azure.session import AzureSession
from labelbridge.registry import Registry
from labelbridge.settings import Settings


def all_activities(session: AzureSession, registry: Registry, settings: Settings) -> list[Callable[..., Any]]:
    """Every activity, bound to its clients."""
    records = Records(session, registry, settings)
    gates = Gates(session, settings)
    conversions = Conversions(session, registry, settings)
    exports = Exports(session, registry, settings, conversions)
    deliveries = Deliveries(session, registry, settings)
    connections = Connections(session, registry)
    training = Training(session, settings)
    imports = Imports(session, registry, conversions)
    return [
        Preflights(session, registry, settings).preflight,
        records.inspect,
        records.begin,
        records.read_claim,
        records.claim,
        records.intend,
        records.write_record,
        records.withdraw,
        records.announce,
        gates.set_gate,
        gates.read_gates,
        exports.export_labels,
        exports.verify_language,
        conversions.read_shard,
        conversions.join_shards,
        conversions.drop_shards,
        deliveries.merge_labels,
        deliveries.prepare_import,
        deliveries.start_import,
        deliveries.await_import,
        deliveries.put_labelled_asset,
        connections.create_job,
        connections.job_state,
        connections.retire_job,
        training.start_training,
        training.watch_training,
        training.cancel_training,
        training.training_outcome,
        training.deploy_model,
        imports.read_labels_file,
        imports.prepare_project,
        imports.delete_project,
        imports.find_snapshot,
    ]
