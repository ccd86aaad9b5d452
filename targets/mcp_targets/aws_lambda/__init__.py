"""The target ``lambda``: the tool as a function of AWS Lambda."""
