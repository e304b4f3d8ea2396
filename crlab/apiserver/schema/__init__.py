"""What an object of a custom resource may look like: pruning, defaults, validation, rules.

From: a CustomResourceDefinition that `crd/` accepted. To: the registry, which prunes, defaults
and validates every write with the compiled schema. Read first: `structural.py`
(`compile_schema`), then `rule_check.py` (x-kubernetes-validations). Everything here is a pure
function of the schema and the objects.
"""
