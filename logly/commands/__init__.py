"""`python -m logly`: the commands."""
