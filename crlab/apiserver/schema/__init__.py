"""What an object of a custom resource may look like: pruning, defaults, validation, CEL.

From: a CustomResourceDefinition. To: the registry, which prunes, defaults and validates
every write with the compiled schema. Read first: `structural.py` (`compile_schema`), then
`crd.py` (what makes a CRD acceptable) and `cel_rule.py` (x-kubernetes-validations).
Everything here is a pure function of the schema and the objects.
"""

from crlab.apiserver.schema.crd import default_crd, prepare_crd, validate_crd
from crlab.apiserver.schema.crd_names import Acceptance, accept_names
from crlab.apiserver.schema.crd_warning import crd_warnings
from crlab.apiserver.schema.structural import CompiledSchema, compile_schema

__all__ = [
    "Acceptance",
    "CompiledSchema",
    "accept_names",
    "compile_schema",
    "crd_warnings",
    "default_crd",
    "prepare_crd",
    "validate_crd",
]
