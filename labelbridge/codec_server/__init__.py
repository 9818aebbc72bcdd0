"""The codec server: decrypts payloads for Temporal's UI and command line, for those who may see them."""

from labelbridge.codec_server.app import check_settings, create_app

__all__ = ["check_settings", "create_app"]
