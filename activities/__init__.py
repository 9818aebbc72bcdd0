"""The steps with effects, one module per kind of step; `all_activities` is what a worker registers."""

from collections.abc import Callable
from typing import Any

from activities.connections import Connections
from activities.conversions import Conversions
from activities.deliveries import Deliveries
from activities.events_in import EventsIn
from activities.events_out import Announcer, EventsOut
from activities.exports import Exports
from activities.fleet import FleetSteps
from activities.gates import Gates
from activities.imports import Imports
from activities.preflight import Preflights
from activities.reconciling import Reconciling
from activities.records import Records
from activities.training import Training
from labelbridge.azure.session import AzureSession
from labelbridge.events.delivery import Delivery
from labelbridge.events.stores import Stores
from labelbridge.registry import Registry
from labelbridge.settings import Settings


def all_activities(session: AzureSession, registry: Registry, settings: Settings) -> list[Callable[..., Any]]:
    """Every activity, bound to its clients."""
    stores = Stores.of(session, settings)
    announcer = Announcer(registry, stores.outbox, stores.markers, settings)
    records = Records(session, registry, announcer, settings)
    gates = Gates(session, settings)
    conversions = Conversions(session, registry, settings)
    exports = Exports(session, registry, settings, conversions, stores.exports)
    deliveries = Deliveries(session, registry, settings)
    connections = Connections(session, registry)
    training = Training(session, settings)
    reconciling = Reconciling(session, registry, settings)
    imports = Imports(session, registry, conversions)
    delivery = Delivery(session, stores.outbox, stores.subscribers, settings)
    fleet = FleetSteps(session, registry, settings)
    events_out = EventsOut(announcer, delivery, settings)
    events_in = EventsIn(session, registry, stores.policies, stores.exports, settings)
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
        training.cancel_trainings,
        training.training_outcome,
        training.deploy_model,
        imports.read_labels_file,
        imports.prepare_project,
        imports.delete_project,
        imports.find_snapshot,
        reconciling.find_drift,
        reconciling.survey,
        reconciling.ask_to_reconcile,
        events_out.deliver_events,
        events_out.announce_person_needed,
        events_out.rewind_subscriber,
        events_out.test_subscriber,
        events_in.auto_sync,
        fleet.gather,
        fleet.projects,
        fleet.look,
        fleet.submit,
        fleet.await_first,
        fleet.cancel,
        fleet.write_page,
        fleet.end,
    ]
