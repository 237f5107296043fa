"""The usual names of secrets: keys that `redact_text` hides, and fields of `redact=True`. See docs/secrets.md."""

__all__ = ["DEFAULT_KEYS"]

DEFAULT_KEYS = (
    "*password",
    "*passwd",
    "*passphrase",
    "pwd",
    "*secret",
    "*secret_key",
    "*secret-key",
    "*secret_access_key",
    "*token",
    "*api_key",
    "*api-key",
    "*apikey",
    "*access_key",
    "*private_key",
    "*authorization",
)
"""No pattern ends with a star, so that most keys are told by their last two letters."""
