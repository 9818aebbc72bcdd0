"""Sign-in with Entra ID: people by the code flow, programs by bearer tokens."""

from labelbridge.console.auth.people import APP_ROLES, Person, Role

__all__ = ["APP_ROLES", "Person", "Role"]
