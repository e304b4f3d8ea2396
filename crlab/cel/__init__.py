"""CEL, the expression language of Kubernetes' validation rules: parsed, checked, costed, run.

It knows no server and no object: rules of schemas are `apiserver/schema`, and whatever else
evaluates expressions may use it too.
"""
