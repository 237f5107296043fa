<<<<<<< HEAD
"""The usual names of secrets: keys for `redact_text`, and fields for `redact=True`. docs/secrets.md lists them."""
=======
"""The keys that `redact_text` hides where `redact` names none; docs/secrets.md lists them."""
>>>>>>> parent of e9534fa (redact_text: values in parentheses, aligned ones, the next line's; own names are added to the usual ones; redact=True; arguments without a placeholder are searched)

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
