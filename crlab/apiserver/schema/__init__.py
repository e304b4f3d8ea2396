"""What an object of a custom resource may look like: pruning, defaults, validation, CEL.

From: a CustomResourceDefinition. To: the registry, which prunes, defaults and validates
every write with the compiled schema. Read first: `structural.py` (`compile_schema`), then
`crd.py` (what makes a CRD acceptable) and `cel_rule.py` (x-kubernetes-validations).
Everything here is a pure function of the schema and the objects.
"""
