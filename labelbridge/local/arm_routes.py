"""Every ARM resource of the local Azure in one table."""

from starlette.routing import Route

from labelbridge.local import (
    arm_accounts,
    arm_data,
    arm_operations,
    arm_roles,
    arm_workspaces,
    labeling_gate,
    labeling_jobs,
)
from labelbridge.local.arm_api import ArmRouter, arm_endpoint


def arm_route() -> Route:
    """The catch-all route of ARM; it must be the application's last."""
    return arm_endpoint(
        ArmRouter(
            [
                *arm_roles.ROUTES,
                *arm_operations.ROUTES,
                *arm_accounts.ROUTES,
                *labeling_jobs.ROUTES,
                *labeling_gate.ROUTES,
                *arm_data.ROUTES,
                *arm_workspaces.ROUTES,
            ]
        )
    )
